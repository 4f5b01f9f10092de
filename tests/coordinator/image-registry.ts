import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "../../local/servers/free-port.ts";
import { ensureDockerRegistry } from "../../local/toolchain/docker-registry.ts";

const imageType = "application/vnd.oci.image.manifest.v1+json";
const indexType = "application/vnd.oci.image.index.v1+json";
const digestOf = (body: string) => `sha256:${createHash("sha256").update(body).digest("hex")}`;

/** Debian's docker-registry (distribution 2.8) on a port of its own; ends with the test's process. */
export class ImageRegistry {
  readonly url: string;
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #authorization: string | undefined;

  private constructor(url: string, folder: string, child: ChildProcess, authorization: string | undefined) {
    this.url = url;
    this.#folder = folder;
    this.#process = child;
    this.#authorization = authorization;
  }

  /** @param login line of an htpasswd file with the login it stands for; left out, everybody may pull and push */
  static async start(login?: { readonly line: string; readonly username: string; readonly password: string }) {
    const binary = await ensureDockerRegistry();
    const folder = await mkdtemp(join(tmpdir(), "image-registry-"));
    const port = await findFreePort(1);
    await writeFile(join(folder, "htpasswd"), `${login?.line ?? ""}\n`);
    const settings = {
      version: 0.1,
      log: { level: "error" },
      storage: { filesystem: { rootdirectory: join(folder, "data") } },
      http: { addr: `127.0.0.1:${port}` },
      ...(login ? { auth: { htpasswd: { realm: "test", path: join(folder, "htpasswd") } } } : {}),
    };
    await writeFile(join(folder, "config.yml"), JSON.stringify(settings));
    const child = spawn(binary, ["serve", join(folder, "config.yml")], { stdio: "ignore" });
    const authorization = login && `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
    const registry = new ImageRegistry(`http://127.0.0.1:${port}`, folder, child, authorization);
    await registry.#ready();
    return registry;
  }

  /** Pushes an image without layers. @returns digest of its manifest */
  async push(repository: string, tag: string, labels: Readonly<Record<string, string>>): Promise<string> {
    const config = JSON.stringify({ architecture: "amd64", os: "linux", config: { Labels: labels } });
    await this.#upload(repository, config);
    const manifest = {
      schemaVersion: 2,
      mediaType: imageType,
      config: { mediaType: "application/vnd.oci.image.config.v1+json", size: config.length, digest: digestOf(config) },
      layers: [],
    };
    return this.#putManifest(repository, tag, manifest, imageType);
  }

  /** Pushes a list with this image for linux/amd64. @returns digest of the list */
  async pushIndex(repository: string, tag: string, labels: Readonly<Record<string, string>>, architecture = "amd64") {
    const digest = await this.push(repository, "part", labels);
    const manifests = [{ mediaType: imageType, digest, size: 1, platform: { os: "linux", architecture } }];
    return this.#putManifest(repository, tag, { schemaVersion: 2, mediaType: indexType, manifests }, indexType);
  }

  async stop(): Promise<void> {
    const ended = once(this.#process, "exit");
    this.#process.kill();
    await ended;
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #ready(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      const answer = await fetch(`${this.url}/v2/`).catch(() => undefined);
      if (answer !== undefined) return;
      await sleep(100);
    }
    throw new Error("the image registry did not start within 10 s");
  }

  async #upload(repository: string, body: string): Promise<void> {
    const begun = await this.#send("POST", new URL(`/v2/${repository}/blobs/uploads/`, this.url));
    const place = new URL(begun.headers.get("location") ?? "", this.url);
    place.searchParams.set("digest", digestOf(body));
    await this.#send("PUT", place, body, "application/octet-stream");
  }

  async #putManifest(repository: string, tag: string, manifest: object, type: string): Promise<string> {
    const body = JSON.stringify(manifest);
    await this.#send("PUT", new URL(`/v2/${repository}/manifests/${tag}`, this.url), body, type);
    return digestOf(body);
  }

  async #send(method: string, url: URL, body?: string, type?: string): Promise<Response> {
    const headers = {
      ...(type === undefined ? {} : { "Content-Type": type }),
      ...(this.#authorization === undefined ? {} : { Authorization: this.#authorization }),
    };
    const answer = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
    if (!answer.ok) throw new Error(`${method} ${url.pathname}: ${answer.status} ${await answer.text()}`);
    return answer;
  }
}
