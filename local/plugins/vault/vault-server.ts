import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import { text } from "../property.ts";
import type { Values } from "../property.ts";

/** Between two tries of a request that Vault may answer later. */
const retryDelayMs = 500;
const requestTimeoutMs = 30_000;

/** What Vault's HTTP interface answered: the payload, wherever this path puts it. */
export type VaultAnswer = Values;

/** One Vault server under one token, as the provider's configuration or VAULT_ADDR and VAULT_TOKEN name it. */
export class VaultServer {
  readonly #address: string;
  readonly #token: string;
  readonly #maxRetries: number;
  // One change at a time: whatever is under way while an audit device is enabled ends in "500 internal error".
  readonly #writes = pLimit(1);

  constructor(config: Values) {
    this.#address = (text(config["address"]) || process.env["VAULT_ADDR"] || "").replace(/\/+$/, "");
    this.#token = text(config["token"]) || process.env["VAULT_TOKEN"] || "";
    this.#maxRetries = Number(config["maxRetries"] ?? 2);
  }

  /** The payload at a path, or undefined when there is nothing (404). */
  async read(path: string): Promise<VaultAnswer | undefined> {
    return this.#request("GET", path);
  }

  async write(path: string, body: Values): Promise<VaultAnswer> {
    return this.#writes(async () => (await this.#request("POST", path, body)) ?? {});
  }

  /** Removes what is at a path; nothing there is a success. */
  async remove(path: string): Promise<void> {
    await this.#writes(async () => this.#request("DELETE", path));
  }

  async #request(method: string, path: string, body?: Values): Promise<VaultAnswer | undefined> {
    if (this.#address === "") throw new Error("vault: no address; set the provider's `address` or VAULT_ADDR");
    if (this.#token === "") throw new Error("vault: no token; set the provider's `token` or VAULT_TOKEN");
    for (let attempt = 0; ; attempt += 1) {
      const isLast = attempt >= this.#maxRetries;
      try {
        const response = await fetch(`${this.#address}/v1/${path.split("/").map(encodeURIComponent).join("/")}`, {
          method,
          headers: { "X-Vault-Token": this.#token, "X-Vault-Request": "true" },
          body: body === undefined ? null : JSON.stringify(body),
          signal: AbortSignal.timeout(requestTimeoutMs),
        });
        const isPassing =
          response.status === 429 || response.status === 412 || response.status >= (method === "GET" ? 500 : 502);
        if (isPassing && !isLast) {
          await sleep(retryDelayMs);
          continue;
        }
        return await this.#answer(method, path, response);
      } catch (error) {
        if (error instanceof VaultError || isLast) throw this.#explained(error);
        await sleep(retryDelayMs);
      }
    }
  }

  async #answer(method: string, path: string, response: Response): Promise<VaultAnswer | undefined> {
    const raw = await response.text();
    const answer = (raw === "" ? {} : JSON.parse(raw)) as Values & { errors?: string[] };
    if (response.ok) return (answer["data"] ?? answer) as VaultAnswer;
    if (response.status === 404 && method !== "POST") return undefined;
    throw new VaultError(
      `vault ${this.#address}: ${method} ${path}: ${response.status} ${(answer.errors ?? []).join("; ")}`,
    );
  }

  #explained(error: unknown): Error {
    if (error instanceof VaultError) {
      const isSealed = error.message.includes("Vault is sealed");
      return isSealed ? new VaultError(`${error.message}; mend: vault operator unseal`) : error;
    }
    const cause = (error as { cause?: Error }).cause?.message ?? (error as Error).message;
    return new Error(`vault ${this.#address} cannot be reached: ${cause}; mend: start it, or correct the address`);
  }
}

/** Vault answered, and refused. */
export class VaultError extends Error {}
