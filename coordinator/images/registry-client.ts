import { createHash } from "node:crypto";

/** How artifacts are fetched. */
export interface RegistryAccess {
  /** `https://host[:port][/prefix]`; plain http for this machine only. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
}

/** One artifact as the registry has it. */
export interface FoundImage {
  /** Digest of what the tag stands for: an image, or a list of images for several platforms. */
  readonly digest: string;
  readonly labels: Readonly<Record<string, string>>;
}

const timeoutMs = 15_000;
const indexTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
];
const imageTypes = [
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
];
/** What the fleets run on. */
const platform = { os: "linux", architecture: "amd64" } as const;

interface Manifest {
  readonly mediaType?: string;
  readonly manifests?: readonly { readonly digest: string; readonly platform?: { os: string; architecture: string } }[];
  readonly config?: { readonly digest: string };
}

/** Reads an OCI registry over its HTTP API v2, with basic or token authentication. Every answer is checked by its hash. */
export class RegistryClient {
  readonly #base: URL;
  readonly #login: string | undefined;
  #authorization: string | undefined;

  /** @throws naming what is allowed; the message never quotes a credential */
  constructor({ url, username, password }: RegistryAccess) {
    const base = URL.canParse(url) ? new URL(url) : undefined;
    if (base === undefined || !/^https?:$/.test(base.protocol) || base.username !== "" || base.search !== "") {
      throw new Error("the registry's URL is not of the form https://host[:port][/prefix], without credentials");
    }
    if (base.protocol === "http:" && !["localhost", "127.0.0.1", "[::1]"].includes(base.hostname)) {
      throw new Error(`registry ${base.host} is named with http://, allowed for this machine only; write https://`);
    }
    this.#base = base;
    if (username !== undefined)
      this.#login = `Basic ${Buffer.from(`${username}:${password ?? ""}`).toString("base64")}`;
  }

  /** Name that a container runtime pulls: host, prefix, artifact, digest. */
  imageName(artifact: string, digest: string): string {
    return `${this.#base.host}/${this.#repository(artifact)}@${digest}`;
  }

  /** @returns undefined when there is no such tag @throws when the registry does not answer, refuses, or lies about a hash */
  async find(artifact: string, tag: string): Promise<FoundImage | undefined> {
    const repository = this.#repository(artifact);
    const top = await this.#manifest(repository, tag);
    if (top === undefined) return undefined;
    let image = top.manifest;
    if (image.manifests !== undefined) {
      const own = image.manifests.find(
        ({ platform: at }) => at?.os === platform.os && at.architecture === platform.architecture,
      );
      if (own === undefined)
        throw new Error(`${repository}:${tag} holds no image for ${platform.os}/${platform.architecture}`);
      image = (await this.#manifest(repository, own.digest))?.manifest ?? {};
    }
    if (image.config === undefined)
      throw new Error(`${repository}:${tag} is no container image: its manifest has no config`);
    const blob = await this.#get(
      `${repository}/blobs/${image.config.digest}`,
      ["*/*"],
      `repository:${repository}:pull`,
    );
    if (blob === undefined)
      throw new Error(`${repository}:${tag}: the registry has lost its config ${image.config.digest}`);
    requireDigest(blob.body, image.config.digest, `${repository}:${tag}, its config`);
    const config = JSON.parse(blob.body.toString()) as { config?: { Labels?: Record<string, string> | null } };
    return { digest: top.digest, labels: config.config?.Labels ?? {} };
  }

  async #manifest(repository: string, reference: string): Promise<{ digest: string; manifest: Manifest } | undefined> {
    const accepted = [...imageTypes, ...indexTypes];
    const answer = await this.#get(`${repository}/manifests/${reference}`, accepted, `repository:${repository}:pull`);
    if (answer === undefined) return undefined;
    const digest = digestOf(answer.body);
    const told = reference.startsWith("sha256:") ? reference : answer.headers.get("docker-content-digest");
    if (told !== null) requireDigest(answer.body, told, `${repository}:${reference}`);
    return { digest, manifest: JSON.parse(answer.body.toString()) as Manifest };
  }

  async #get(path: string, accepted: readonly string[], scope: string) {
    const url = new URL(`/v2/${path}`, this.#base);
    let response = await this.#fetch(url, accepted, this.#authorization);
    if (response.status === 401) {
      this.#authorization = await this.#authorize(response.headers.get("www-authenticate") ?? "", scope);
      response = await this.#fetch(url, accepted, this.#authorization);
    }
    if (response.status === 404) return undefined;
    if (response.status === 401 || response.status === 403)
      throw new Error(
        `registry ${this.#base.host} does not let ${this.#login === undefined ? "an unknown visitor" : "this login"} pull ${path}; ` +
          "name registry.username and registry.password in the stack file, of a login that may pull",
      );
    if (!response.ok) throw new Error(`registry ${this.#base.host} answered ${response.status} for ${path}`);
    return { headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
  }

  async #fetch(url: URL, accepted: readonly string[], authorization: string | undefined): Promise<Response> {
    const headers = {
      Accept: accepted.join(", "),
      ...(authorization === undefined ? {} : { Authorization: authorization }),
    };
    try {
      return await fetch(url, { headers, signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw new Error(`registry ${url.host} does not answer: ${cause}; check registry.url: curl ${url.origin}/v2/`, {
        cause: error,
      });
    }
  }

  /** Basic: the login itself. Bearer: a token for this repository from the server that the registry names. */
  async #authorize(challenge: string, scope: string): Promise<string | undefined> {
    if (!/^bearer /i.test(challenge)) return this.#login;
    const field = (name: string): string | undefined => new RegExp(`${name}="([^"]*)"`, "i").exec(challenge)?.[1];
    const realm = field("realm") ?? "";
    if (!URL.canParse(realm)) throw new Error(`registry ${this.#base.host} names no server for tokens`);
    const url = new URL(realm);
    if (url.protocol !== "https:" && url.hostname !== this.#base.hostname)
      throw new Error(`registry ${this.#base.host} wants the login sent to ${url.host} without TLS; that is refused`);
    url.searchParams.set("scope", field("scope") ?? scope);
    const service = field("service");
    if (service !== undefined) url.searchParams.set("service", service);
    const answer = await this.#fetch(url, ["application/json"], this.#login);
    if (!answer.ok) return undefined;
    const { token, access_token: other } = (await answer.json()) as { token?: string; access_token?: string };
    return `Bearer ${token ?? other ?? ""}`;
  }

  #repository(artifact: string): string {
    return [this.#base.pathname.replaceAll(/^\/+|\/+$/g, ""), artifact].filter((part) => part !== "").join("/");
  }
}

function digestOf(body: Uint8Array): string {
  return `sha256:${createHash("sha256").update(body).digest("hex")}`;
}

function requireDigest(body: Uint8Array, told: string, what: string): void {
  const seen = digestOf(body);
  if (seen !== told) throw new Error(`${what}: the registry says ${told}, but what it sent hashes to ${seen}`);
}
