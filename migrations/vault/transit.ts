import { inspect } from "node:util";
import { VaultSession, type VaultAccess, type VaultAnswer } from "./session.ts";
import { VaultError, type VaultFailure } from "./vault-error.ts";

export interface TransitAccess extends VaultAccess {
  /** Path of the transit mount, e.g. `transit-dev`. */
  readonly mount: string;
}

/** A tenant's key-encryption key as Vault describes it. */
export interface Kek {
  readonly name: string;
  readonly latestVersion: number;
  /** When the latest version was made, to the second. */
  readonly latestVersionAt: Date;
  readonly minDecryptionVersion: number;
  readonly isDeletionAllowed: boolean;
}

/** Name of a tenant's KEK in the transit mount. Identity-bearing: a KEK under another name is another KEK. */
export function kekName(tenant: string): string {
  if (!/^[a-z][a-z0-9-]{1,40}$/.test(tenant)) {
    throw new TypeError(`tenant id ${JSON.stringify(tenant)} is not allowed; it must match [a-z][a-z0-9-]{1,40}`);
  }
  return `kek-${tenant}`;
}

/**
 * The KEKs of one environment, one per tenant, in Vault's transit engine. Ciphertexts have no associated data, as in
 * Tink's own Vault integration, so that Vault can rewrap them.
 *
 * Every method throws {@link VaultError}, and TypeError for a tenant id that is not allowed.
 */
export class Transit {
  readonly mount: string;
  readonly #session: VaultSession;

  /** @throws {TypeError} a malformed mount or address, or not exactly one of token and appRole */
  constructor(access: TransitAccess) {
    if (!/^[\w.-]+(\/[\w.-]+)*$/.test(access.mount)) {
      throw new TypeError(`transit mount ${JSON.stringify(access.mount)} is no path such as transit-dev`);
    }
    this.mount = access.mount;
    this.#session = new VaultSession(access);
  }

  async findKek(tenant: string): Promise<Kek | undefined> {
    const answer = await this.#session.request("GET", this.#path("keys", tenant));
    if (answer.status === 404) return undefined;
    if (answer.status >= 400) throw this.#refusal(tenant, answer.errors, answer.status);
    return this.#kek(tenant, answer);
  }

  /** @throws {VaultError} `missing-key` naming the tenant */
  async getKek(tenant: string): Promise<Kek> {
    const kek = await this.findKek(tenant);
    if (kek === undefined) throw this.#fault(tenant, "missing-key");
    return kek;
  }

  /**
   * Makes the KEK (aes256-gcm96, not exportable, not deletable) unless it is there. May be called by many at once.
   *
   * @throws {VaultError} `unsafe-key`: one is there that is exportable, derived, deletable or of another type. It is
   *   not changed: deletable means that somebody is about to shred this tenant
   */
  async ensureKek(tenant: string): Promise<Kek> {
    const path = this.#path("keys", tenant);
    if ((await this.findKek(tenant)) === undefined) {
      // Vault leaves a key that exists as it is, so it does not matter who comes first.
      const body = { type: kekType, exportable: false, derived: false, allow_plaintext_backup: false };
      const made = await this.#session.request("POST", path, body);
      if (made.status >= 400) throw this.#refusal(tenant, made.errors, made.status);
    }
    const kek = await this.getKek(tenant);
    if (kek.isDeletionAllowed) throw this.#fault(tenant, "unsafe-key", "may be deleted");
    return kek;
  }

  /** @returns `vault:v<version of the KEK>:<base64>` */
  async wrap(tenant: string, plain: Uint8Array): Promise<string> {
    return only(await this.wrapMany(tenant, [plain]));
  }

  /** {@link wrap} for many, in their order. */
  async wrapMany(tenant: string, plains: readonly Uint8Array[]): Promise<string[]> {
    // Vault's `encrypt` quietly makes a key that is not there; a shredded tenant must not get a KEK that way.
    await this.getKek(tenant);
    return this.#batch(
      "encrypt",
      tenant,
      plains.map((plain) => ({ plaintext: base64(plain) })),
      "ciphertext",
    );
  }

  async unwrap(tenant: string, ciphertext: string): Promise<Buffer> {
    return only(await this.unwrapMany(tenant, [ciphertext]));
  }

  /** {@link unwrap} for many, in their order. */
  async unwrapMany(tenant: string, ciphertexts: readonly string[]): Promise<Buffer[]> {
    const items = ciphertexts.map((ciphertext) => ({ ciphertext }));
    const plains = await this.#batch("decrypt", tenant, items, "plaintext");
    return plains.map((plain) => Buffer.from(plain, "base64"));
  }

  /** The same plaintext under the newest version of the KEK, without the plaintext leaving Vault. */
  async rewrap(tenant: string, ciphertext: string): Promise<string> {
    return only(await this.rewrapMany(tenant, [ciphertext]));
  }

  /** {@link rewrap} for many, in their order. */
  async rewrapMany(tenant: string, ciphertexts: readonly string[]): Promise<string[]> {
    return this.#batch(
      "rewrap",
      tenant,
      ciphertexts.map((ciphertext) => ({ ciphertext })),
      "ciphertext",
    );
  }

  /** Adds a version to the KEK; what older ones wrapped still opens. A lost acknowledgement may cost one version. */
  async rotate(tenant: string): Promise<Kek> {
    const answer = await this.#session.request("POST", `${this.#path("keys", tenant)}/rotate`, {});
    if (answer.status >= 400) throw this.#refusal(tenant, answer.errors, answer.status);
    return this.getKek(tenant);
  }

  /**
   * Lets the KEK open nothing any more that a version below this one wrapped. Never lowers it, and trims nothing: an
   * operator can lower it again.
   */
  async raiseMinDecryptionVersion(tenant: string, version: number): Promise<Kek> {
    const kek = await this.getKek(tenant);
    if (kek.minDecryptionVersion >= version) return kek;
    const path = `${this.#path("keys", tenant)}/config`;
    const answer = await this.#session.request("POST", path, { min_decryption_version: version });
    if (answer.status >= 400) throw this.#refusal(tenant, answer.errors, answer.status);
    return this.getKek(tenant);
  }

  [inspect.custom](): string {
    return `Transit(${this.mount} at ${this.#session.address})`;
  }

  async #batch(operation: Operation, tenant: string, items: readonly object[], field: string): Promise<string[]> {
    const results: string[] = [];
    for (let first = 0; first < items.length; first += batchItems) {
      const batch = items.slice(first, first + batchItems);
      const answer = await this.#session.request("POST", this.#path(operation, tenant), { batch_input: batch });
      const answers = answer.data["batch_results"] as Record<string, string>[] | undefined;
      if (answers?.length !== batch.length) throw this.#refusal(tenant, answer.errors, answer.status);
      for (const result of answers) {
        const value = result[field];
        if (result["error"] || value === undefined) throw this.#refusal(tenant, [result["error"] ?? ""], answer.status);
        results.push(value);
      }
    }
    return results;
  }

  #kek(tenant: string, answer: VaultAnswer): Kek {
    const data = answer.data;
    if (data["type"] !== kekType) throw this.#fault(tenant, "unsafe-key", `is not of type ${kekType}`);
    for (const property of ["exportable", "derived", "allow_plaintext_backup"]) {
      if (data[property] !== false) throw this.#fault(tenant, "unsafe-key", `has ${property} = true`);
    }
    const versions = (data["keys"] ?? {}) as Record<string, number>;
    return {
      name: kekName(tenant),
      latestVersion: Number(data["latest_version"]),
      latestVersionAt: new Date(Number(versions[String(data["latest_version"])]) * 1000),
      minDecryptionVersion: Number(data["min_decryption_version"]),
      isDeletionAllowed: data["deletion_allowed"] !== false,
    };
  }

  #path(operation: Operation | "keys", tenant: string): string {
    return `${this.mount}/${operation}/${kekName(tenant)}`;
  }

  /** Vault's own text decides the reason and is then dropped: nothing promises that it never quotes its input. */
  #refusal(tenant: string, errors: readonly string[], status: number): VaultError {
    const text = errors.join("\n");
    if (/key not found|no existing key/.test(text)) return this.#fault(tenant, "missing-key");
    if (text.includes("too old")) return this.#fault(tenant, "too-old");
    if (text.includes("too new")) return this.#fault(tenant, "too-new");
    if (/message authentication failed|invalid ciphertext/.test(text)) return this.#fault(tenant, "not-authentic");
    return this.#fault(tenant, "refused", `refuses the request (HTTP ${status})`);
  }

  #fault(tenant: string, reason: VaultFailure, fault?: string): VaultError {
    const subject = `tenant ${tenant}: the KEK ${kekName(tenant)} in ${this.mount} of Vault at ${this.#session.address}`;
    const key = `${this.mount}/keys/${kekName(tenant)}`;
    switch (reason) {
      case "missing-key":
        return new VaultError(
          reason,
          `${subject} is missing; what it wrapped opens only with that very key: restore Vault from a snapshot that has ` +
            `it (vault operator raft snapshot restore), or onboard the tenant if it never had one`,
        );
      case "too-old":
        return new VaultError(
          reason,
          `${subject} no longer opens this version; lower it: vault write ${key}/config min_decryption_version=1, ` +
            `then rewrap the tenant's keysets`,
        );
      case "too-new":
        return new VaultError(
          reason,
          `${subject} is older than the version that wrapped this; restore a newer snapshot of Vault`,
        );
      case "not-authentic":
        return new VaultError(
          reason,
          `${subject} did not wrap this; it was changed, or belongs to another tenant, environment or Vault: compare ` +
            `RC_VAULT_ADDR and the mount with those of the environment that wrote it`,
        );
      default:
        return new VaultError(reason, `${subject} ${fault}; see vault read ${key}`);
    }
  }
}

type Operation = "encrypt" | "decrypt" | "rewrap";

const kekType = "aes256-gcm96";
/** Keeps a request far below Vault's limit of 32 MiB: keysets stay below 10 KiB. */
const batchItems = 500;

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function only<T>(results: readonly T[]): T {
  return results[0] as T;
}
