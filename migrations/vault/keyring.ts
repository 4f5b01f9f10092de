import { inspect } from "node:util";
import {
  decodeEncryptedKeyset,
  decodeKeyset,
  encodeEncryptedKeyset,
  encodeKeyset,
  generateKeyset,
  type Keyset,
} from "../tink/keyset.ts";
import { bindKeyset } from "./keyset-binding.ts";
import { KeysetTable, type KeysetRow, type Queryable } from "./keyset-table.ts";
import {
  type AeadClass,
  KeyringError,
  keyTypeOfClass,
  type KeysetClass,
  type Opened,
  openedAs,
  type OpenedKeyset,
  openRow,
} from "./opened-keyset.ts";
import type { Transit } from "./transit.ts";
import { VaultError } from "./vault-error.ts";

/** Readers may use a keyset this long before they look for a newer version, in milliseconds: ten minutes. */
export const longestCacheAgeMs = 600_000;

export { KeyringError, type KeysetClass, type OpenedKeyset } from "./opened-keyset.ts";

export interface KeyringOptions {
  /** Client or pool on the tenant's database. A client must not be inside a transaction that may roll back. */
  readonly client: Queryable;
  readonly transit: Transit;
  readonly tenant: string;
  /** Milliseconds before the database is asked for a newer version. @default longestCacheAgeMs */
  readonly cacheAgeMs?: number;
  /** Called after each step in which a first keyset is made; for drills. */
  readonly onStep?: (step: "kek" | "wrapped" | "stored") => Promise<void>;
}

/**
 * One tenant's keysets: kept in its database (`rc.keyset`), encrypted by its KEK in Vault, opened in memory. A keyset
 * changes only by compare-and-set on its newest version, after the new one was opened through Vault again.
 *
 * Every method may throw VaultError, whose message names the tenant.
 */
export class Keyring {
  readonly tenant: string;
  readonly #transit: Transit;
  readonly #table: KeysetTable;
  readonly #cacheAgeMs: number;
  readonly #onStep: NonNullable<KeyringOptions["onStep"]>;
  readonly #opened = new Map<string, Promise<CachedKeyset>>();

  constructor(options: KeyringOptions) {
    this.tenant = options.tenant;
    this.#transit = options.transit;
    this.#table = new KeysetTable(options.client, options.tenant);
    this.#cacheAgeMs = options.cacheAgeMs ?? longestCacheAgeMs;
    this.#onStep = options.onStep ?? (async () => {});
  }

  /**
   * The newest keyset of a class; the first one, and the KEK, are made if the tenant has none. Idempotent, and whoever
   * calls at the same time gets the same keyset.
   *
   * @param findUse what the class's keys were used for already, in words: then a keyset that is not there was lost, and
   *   none is made in its place. Asked only when there is none. @default nothing
   * @throws {KeyringError} there was a keyset, or something was sealed or signed with one, and it is gone
   * @throws {VaultError} `missing-key`: the tenant has keysets but no KEK; it is not given another one, which would
   *   open nothing
   */
  async ensure<C extends KeysetClass>(cls: C, findUse?: () => Promise<string | undefined>): Promise<Opened<C>> {
    if ((await this.#table.findNewest(cls)) === undefined) {
      await this.#refuseLost(cls, findUse);
      const isNewTenant = !(await this.#table.hasAny());
      await (isNewTenant ? this.#transit.ensureKek(this.tenant) : this.#transit.getKek(this.tenant));
      await this.#onStep("kek");
      await this.#append(cls, 0, generateKeyset(keyTypeOfClass(cls)));
      await this.#onStep("stored");
      this.#opened.delete(cacheKey(cls));
    }
    return this.get(cls);
  }

  /**
   * A keyset of a class, the newest one by default. Cached; without Vault after the first time, and without the
   * database for `cacheAgeMs`.
   *
   * @throws {KeyringError} no such keyset, or one that does not belong there: see `openRow`
   */
  async get<C extends KeysetClass>(cls: C, version?: number): Promise<Opened<C>> {
    const key = cacheKey(cls, version);
    const cached = this.#opened.get(key);
    const known = await cached;
    if (known !== undefined && performance.now() - known.checkedAtMs < this.#cacheAgeMs)
      return known.opened as Opened<C>;
    // Callers at once share one look at database and Vault; another one may have begun it during the await above.
    let loading = this.#opened.get(key);
    if (loading === undefined || loading === cached) {
      loading = this.#load(cls, version, known);
      this.#remember(key, loading);
    }
    return (await loading).opened as Opened<C>;
  }

  /**
   * The newest keyset, or a newer one if that does not know the key: a reader may meet a key younger than its cache.
   *
   * @param keyId from `sealedKeyId(ciphertext)`
   * @throws {KeyringError} no enabled key of the newest keyset has this id
   */
  async getFor(cls: AeadClass, keyId: number): Promise<OpenedKeyset> {
    const present = await this.get(cls);
    if (present.aead.knows(keyId)) return present;
    const known = await this.#opened.get(cacheKey(cls));
    const loading = this.#load(cls, undefined, known);
    this.#remember(cacheKey(cls), loading);
    const newest = (await loading).opened as OpenedKeyset;
    if (newest.aead.knows(keyId)) return newest;
    throw new KeyringError(
      `tenant ${this.tenant}: no enabled key of keyset ${cls} version ${newest.version} has the id ${keyId}; the ` +
        `ciphertext was changed, or is another tenant's or class's, or its key was disabled: coordinator verify`,
    );
  }

  /**
   * Adds a key that opens but does not seal yet, as a new version; {@link promoteKey} follows. A key that waits for its
   * promotion is not followed by another one.
   *
   * @throws {KeyringError} the class has no keyset, or others keep changing it
   */
  async addKey<C extends KeysetClass>(cls: C): Promise<Opened<C>> {
    return this.#change(cls, (keyset) => (waitingKeyId(keyset) === undefined ? keyset.withNewKey() : undefined));
  }

  /**
   * Makes the key added last the one that seals, as a new version. Nothing changes when it is already.
   *
   * @param minAgeMs milliseconds the key must have been there, so that every reader knows it. @default longestCacheAgeMs
   * @throws {KeyringError} the class has no keyset, the key is too young, or others keep changing it
   */
  async promoteKey<C extends KeysetClass>(cls: C, minAgeMs: number = longestCacheAgeMs): Promise<Opened<C>> {
    return this.#change(cls, (keyset, row) => {
      const keyId = waitingKeyId(keyset);
      if (keyId === undefined) return undefined;
      if (row.ageMs < minAgeMs) {
        throw new KeyringError(
          `tenant ${this.tenant}: key ${keyId} of keyset ${cls} is ${Math.floor(row.ageMs / 1000)} s old and may seal ` +
            `after ${minAgeMs / 1000} s, when every reader has it; run this again then`,
        );
      }
      return keyset.withPrimary(keyId);
    });
  }

  /**
   * Wraps every keyset anew under the newest version of the KEK. The keys stay the same, so no sealed row changes.
   *
   * @returns how many keysets were wrapped anew, and how many already were
   */
  async rewrapAll(): Promise<{ rewrapped: number; unchanged: number }> {
    const rows = await this.#table.all();
    if (rows.length === 0) return { rewrapped: 0, unchanged: 0 };
    const prefix = `vault:v${(await this.#transit.getKek(this.tenant)).latestVersion}:`;
    const before = rows.map((row) => ({ row, ciphertext: decodeEncryptedKeyset(row.encrypted) }));
    const old = before.filter(({ ciphertext }) => !ciphertext.startsWith(prefix));
    const oldCiphertexts = old.map(({ ciphertext }) => ciphertext);
    const newCiphertexts = await this.#transit.rewrapMany(this.tenant, oldCiphertexts);
    const plains = await this.#transit.unwrapMany(this.tenant, [...oldCiphertexts, ...newCiphertexts]);
    let rewrapped = 0;
    for (const [index, { row }] of old.entries()) {
      if (!plains[index]?.equals(plains[old.length + index] ?? Buffer.alloc(0))) throw this.#unreadable(row.cls);
      const encrypted = encodeEncryptedKeyset(newCiphertexts[index] ?? "");
      if (await this.#table.replace(row, encrypted)) rewrapped += 1;
    }
    return { rewrapped, unchanged: rows.length - rewrapped };
  }

  [inspect.custom](): string {
    return `Keyring(tenant ${this.tenant}, ${[...this.#opened.keys()].join(", ") || "nothing opened"})`;
  }

  async #refuseLost(cls: KeysetClass, findUse?: () => Promise<string | undefined>): Promise<void> {
    const head = await this.#table.findHeadVersion(cls);
    const use = head === undefined ? await findUse?.() : `version ${head} was stored once`;
    // Somebody else may have stored the first one a moment ago, and used it already.
    if (use === undefined || (await this.#table.findNewest(cls)) !== undefined) return;
    throw new KeyringError(
      `tenant ${this.tenant} has no keyset ${cls} in rc.keyset, although ${use}; another one would open nothing, so none ` +
        `is made: restore rc.keyset from a backup`,
    );
  }

  #remember(key: string, loading: Promise<CachedKeyset>): void {
    this.#opened.set(key, loading);
    // A failure is told to those who wait for it and then forgotten, so that the next call tries again.
    loading.catch(() => {
      if (this.#opened.get(key) === loading) this.#opened.delete(key);
    });
  }

  /** Vault is asked only when the row is of another version than the known one. */
  async #load(cls: KeysetClass, version?: number, known?: CachedKeyset): Promise<CachedKeyset> {
    const checkedAtMs = performance.now();
    const row = await this.#getRow(cls, version);
    if (known?.opened.version === row.version) return { ...known, checkedAtMs };
    const keyset = await openRow(this.#transit, this.tenant, row).catch(async (error: unknown) => {
      // A rotation may have wrapped it anew, and put the old version out of use, since it was read.
      if (!(error instanceof VaultError) || error.reason !== "too-old") throw error;
      return openRow(this.#transit, this.tenant, await this.#getRow(cls, version));
    });
    return { opened: openedAs(cls, row.version, keyset), checkedAtMs };
  }

  async #change<C extends KeysetClass>(
    cls: C,
    next: (keyset: Keyset, row: KeysetRow) => Keyset | undefined,
  ): Promise<Opened<C>> {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const row = await this.#getRow(cls);
      const changed = next(await openRow(this.#transit, this.tenant, row), row);
      if (changed === undefined || (await this.#append(cls, row.version, changed))) {
        this.#opened.delete(cacheKey(cls));
        return this.get(cls);
      }
    }
    throw new KeyringError(
      `tenant ${this.tenant}: keyset ${cls} was changed by somebody else ${attempts} times in a row; run this again`,
    );
  }

  /** False when somebody else added a version first. */
  async #append(cls: KeysetClass, newestVersion: number, keyset: Keyset): Promise<boolean> {
    const plain = encodeKeyset(keyset);
    const ciphertext = await this.#transit.wrap(this.tenant, plain);
    await this.#onStep("wrapped");
    const readBack = decodeKeyset(await this.#transit.unwrap(this.tenant, ciphertext));
    if (!readBack.equals(keyset)) throw this.#unreadable(cls);
    const place = { tenant: this.tenant, cls, version: newestVersion + 1 };
    return this.#table.append(cls, newestVersion, bindKeyset(plain, encodeEncryptedKeyset(ciphertext), place));
  }

  async #getRow(cls: KeysetClass, version?: number): Promise<KeysetRow> {
    const row = await (version === undefined ? this.#table.findNewest(cls) : this.#table.find(cls, version));
    if (row !== undefined) return row;
    throw new KeyringError(
      `tenant ${this.tenant} has no keyset ${cls}${version === undefined ? "" : ` version ${version}`} in rc.keyset; ` +
        `prepare makes it (pulumi up), unless the tenant was shredded`,
    );
  }

  #unreadable(cls: string): KeyringError {
    return new KeyringError(
      `tenant ${this.tenant}: Vault opened the new keyset ${cls} to something else than it was given; nothing was ` +
        `changed: check Vault (vault status) and run this again`,
    );
  }
}

interface CachedKeyset {
  readonly opened: Opened<KeysetClass>;
  readonly checkedAtMs: number;
}

const attempts = 5;

function cacheKey(cls: KeysetClass, version?: number): string {
  return version === undefined ? cls : `${cls} version ${version}`;
}

/** The key added last, while another one still seals. Keys are appended and promoted in their order. */
function waitingKeyId(keyset: Keyset): number | undefined {
  const last = keyset.keys.at(-1);
  return last?.status === "enabled" && last.id !== keyset.primaryKeyId ? last.id : undefined;
}
