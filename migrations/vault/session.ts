import { inspect } from "node:util";
import pRetry from "p-retry";
import { VaultError } from "./vault-error.ts";

export interface AppRole {
  readonly roleId: string;
  readonly secretId: string;
  /** Path of the auth method, default `approle`. */
  readonly mount?: string;
}

/** How to reach one Vault: with a token, or with an AppRole that fetches (and on 403 renews) one. */
export interface VaultAccess {
  /** API address, `http(s)://host:port`, without credentials. */
  readonly address: string;
  readonly token?: string;
  readonly appRole?: AppRole;
  /** Milliseconds one request may take with all its retries; the last try may exceed it by one second. @default 10000 */
  readonly deadlineMs?: number;
}

/** What Vault answered with 2xx, 400 or 404. `errors` is Vault's own text: match it, never print it. */
export interface VaultAnswer {
  readonly status: number;
  readonly data: Record<string, unknown>;
  readonly errors: readonly string[];
}

type Method = "GET" | "POST";

/** Authenticated requests to one Vault; 412, 429, 5xx and broken connections are tried again until the deadline. */
export class VaultSession {
  /** Origin only, fit for messages. */
  readonly address: string;
  readonly #base: string;
  readonly #appRole: AppRole | undefined;
  readonly #deadlineMs: number;
  #token: Promise<string> | undefined;

  /** @throws {TypeError} address is no http(s) URL or carries credentials; not exactly one of token and appRole */
  constructor(access: VaultAccess) {
    const url = URL.canParse(access.address) ? new URL(access.address) : undefined;
    if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
      throw new TypeError("the address of Vault is no http:// or https:// URL without credentials; see RC_VAULT_ADDR");
    }
    if (!access.token === !access.appRole) {
      throw new TypeError(
        `Vault at ${url.origin} needs a token or an AppRole, exactly one of them; see RC_VAULT_TOKEN`,
      );
    }
    this.address = url.origin;
    this.#base = url.href.replace(/\/*$/, "/v1/");
    this.#appRole = access.appRole;
    this.#deadlineMs = access.deadlineMs ?? 10_000;
    if (access.token) this.#token = Promise.resolve(access.token);
  }

  /**
   * @param path below `/v1/`
   * @throws {VaultError} transient after the deadline; `denied`, `untrusted` and `missing-mount` at once
   */
  async request(method: Method, path: string, body?: object): Promise<VaultAnswer> {
    const token = await this.#login();
    const answer = await this.#send(method, path, body, token);
    if (answer.status !== 403) return answer;
    if (this.#appRole === undefined) throw this.#denied(method, path);
    const renewed = await this.#login(token);
    const second = await this.#send(method, path, body, renewed);
    if (second.status === 403) throw this.#denied(method, path);
    return second;
  }

  [inspect.custom](): string {
    return `VaultSession(${this.address}, ${this.#appRole ? "AppRole" : "token"})`;
  }

  /** The present token; a new one if the present one is `expired`. Callers at once share one login. */
  async #login(expired?: string): Promise<string> {
    const present = this.#token;
    if (present !== undefined && (expired === undefined || (await present) !== expired)) return present;
    // Another caller may have renewed it while this one waited above.
    if (this.#token === present) {
      const fresh = this.#loginByAppRole(this.#appRole as AppRole);
      this.#token = fresh;
      fresh.catch(() => {
        if (this.#token === fresh) this.#token = undefined;
      });
    }
    return this.#login();
  }

  async #loginByAppRole(appRole: AppRole): Promise<string> {
    const path = `auth/${appRole.mount ?? "approle"}/login`;
    const answer = await this.#send("POST", path, { role_id: appRole.roleId, secret_id: appRole.secretId });
    const token = (answer.data["auth"] as { client_token?: string } | undefined)?.client_token;
    if (token !== undefined) return token;
    throw new VaultError(
      "denied",
      `Vault at ${this.address} refuses the AppRole login at ${path} (HTTP ${answer.status}); ` +
        `give the role a new secret id: vault write -f auth/${appRole.mount ?? "approle"}/role/<role>/secret-id`,
    );
  }

  #send(method: Method, path: string, body?: object, token?: string): Promise<VaultAnswer> {
    const untilMs = performance.now() + this.#deadlineMs;
    const isWorthRetrying = ({ error }: { error: Error }) => error instanceof VaultError && error.isTransient;
    return pRetry(() => this.#attempt(method, path, body, token, untilMs), {
      retries: Infinity,
      minTimeout: 50,
      maxTimeout: 2000,
      randomize: true,
      maxRetryTime: this.#deadlineMs,
      shouldRetry: isWorthRetrying,
    });
  }

  async #attempt(method: Method, path: string, body: object | undefined, token: string | undefined, untilMs: number) {
    // A last try with no time left would hide what the earlier ones found (sealed, say) behind a timeout.
    const timeoutMs = Math.max(1000, Math.ceil(untilMs - performance.now()));
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.#base + path, {
        method,
        headers: { "X-Vault-Request": "true", ...(token === undefined ? {} : { "X-Vault-Token": token }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      throw this.#broken(error);
    }
    return this.#read(response.status, text, `${method} ${path}`);
  }

  #read(status: number, text: string, asked: string): VaultAnswer {
    const json = parsed(text);
    const errors = (json?.["errors"] as string[] | undefined) ?? [];
    if (status === 412 || status === 429 || status >= 500) throw this.#transient(status, errors);
    if (json === undefined || (status >= 300 && ![400, 403, 404].includes(status))) {
      throw new VaultError(
        "refused",
        `${this.address} answered ${asked} with HTTP ${status}, not as Vault does; ` +
          `check that this is Vault and nothing in between: curl ${this.address}/v1/sys/health`,
      );
    }
    if (status === 404 && errors.some((error) => error.includes("no handler for route"))) {
      throw new VaultError(
        "missing-mount",
        `Vault at ${this.address} has no mount for ${asked}; set present.vault to true and run pulumi up`,
      );
    }
    // Logins answer under `auth`, everything else under `data`.
    const data = json["auth"] ? { auth: json["auth"] } : ((json["data"] as Record<string, unknown> | null) ?? {});
    return { status, data, errors };
  }

  #broken(error: unknown): VaultError {
    const cause = (error as { cause?: { code?: string } }).cause;
    const code = (error as Error).name === "TimeoutError" ? "no answer in time" : (cause?.code ?? "connection broken");
    if (/^(CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|ERR_TLS|ERR_SSL)/.test(code)) {
      return new VaultError(
        "untrusted",
        `the certificate of Vault at ${this.address} is not trusted (${code}); name its CA in NODE_EXTRA_CA_CERTS`,
      );
    }
    return new VaultError(
      "unreachable",
      `Vault at ${this.address} is unreachable (${code}, tried for up to ${this.#deadlineMs} ms); ` +
        `check that it runs: curl ${this.address}/v1/sys/health`,
    );
  }

  #transient(status: number, errors: readonly string[]): VaultError {
    if (errors.some((error) => error.includes("sealed")) || status === 501) {
      return new VaultError(
        "sealed",
        `Vault at ${this.address} is ${status === 501 ? "not initialised" : "sealed"}; ` +
          `vault operator ${status === 501 ? "init" : "unseal"} -address=${this.address}`,
      );
    }
    return new VaultError(
      "overloaded",
      `Vault at ${this.address} answered HTTP ${status} for ${this.#deadlineMs} ms; ` +
        `see vault status -address=${this.address} and its log, then run this again`,
    );
  }

  #denied(method: Method, path: string): VaultError {
    const isList = path.endsWith("?list=true");
    const capability = isList ? "list" : method === "GET" ? "read" : "update";
    const [at] = path.split("?");
    const credential = this.#appRole ? "the AppRole" : "the token";
    return new VaultError(
      "denied",
      `Vault at ${this.address} does not let ${credential} ${capability} ${at}, or it is no longer valid; ` +
        `grant it: path "${at}" { capabilities = ["${capability}"] }, or set a valid one`,
    );
  }
}

/** Undefined when it is not JSON. A 204 has no body. */
function parsed(text: string): Record<string, unknown> | undefined {
  if (text === "") return {};
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
