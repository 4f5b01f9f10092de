import { decodeKeyset, encodeEncryptedKeyset, encodeKeyset, type Keyset } from "../tink/keyset.ts";
import { bindKeyset } from "../vault/keyset-binding.ts";
import { KeysetTable, type Queryable } from "../vault/keyset-table.ts";
import { openRow } from "../vault/opened-keyset.ts";
import type { Transit } from "../vault/transit.ts";

/** One version of a keyset, opened. */
export interface KeysetVersion {
  readonly version: number;
  readonly ageMs: number;
  readonly keyset: Keyset;
}

/** All versions of one class of a tenant's keysets, with what happened from one to the next. */
export class KeysetHistory {
  readonly tenant: string;
  readonly cls: string;
  /** Oldest first; at least one. */
  readonly versions: readonly [KeysetVersion, ...KeysetVersion[]];

  private constructor(tenant: string, cls: string, versions: readonly [KeysetVersion, ...KeysetVersion[]]) {
    this.tenant = tenant;
    this.cls = cls;
    this.versions = versions;
  }

  /** Undefined when the tenant has no keyset of the class. @throws {VaultError} {KeysetError} {KeyringError} */
  static async read(
    client: Queryable,
    transit: Transit,
    tenant: string,
    cls: string,
  ): Promise<KeysetHistory | undefined> {
    const rows = (await new KeysetTable(client, tenant).all()).filter((row) => row.cls === cls);
    // Each is what its row says, and the newest the one that was stored last: what is added to it vouches for it.
    const keysets = await Promise.all(
      rows.map((row, nth) => openRow(transit, tenant, nth === rows.length - 1 ? row : { ...row, head: undefined })),
    );
    const [first, ...rest] = rows.map(({ version, ageMs }, nth): KeysetVersion => {
      return { version, ageMs, keyset: keysets[nth] as Keyset };
    });
    return first === undefined ? undefined : new KeysetHistory(tenant, cls, [first, ...rest]);
  }

  get newest(): KeysetVersion {
    return this.versions.at(-1) ?? this.versions[0];
  }

  /** Milliseconds since the present primary key began to seal. */
  get primaryAgeMs(): number {
    return this.#since((keyset) => keyset.primaryKeyId === this.newest.keyset.primaryKeyId).ageMs;
  }

  /** Version in which the present primary key began to seal. */
  get primarySince(): number {
    return this.#since((keyset) => keyset.primaryKeyId === this.newest.keyset.primaryKeyId).version;
  }

  /** The key that was added last and does not seal yet, with the milliseconds since it was added. */
  get waiting(): { readonly keyId: number; readonly ageMs: number } | undefined {
    const { keyset } = this.newest;
    const last = keyset.keys.at(-1);
    if (last?.status !== "enabled" || last.id === keyset.primaryKeyId) return undefined;
    // Keys are appended and promoted in their order: one that has sealed before is not the last of them.
    return { keyId: last.id, ageMs: this.#since(({ keys }) => keys.some(({ id }) => id === last.id)).ageMs };
  }

  /** Milliseconds since a key has last been primary; undefined when it never was, 0 when it is. */
  sealedUntilMs(keyId: number): number | undefined {
    const last = this.versions.findLastIndex(({ keyset }) => keyset.primaryKeyId === keyId);
    if (last === -1) return undefined;
    return this.versions[last + 1]?.ageMs ?? 0;
  }

  /** Oldest of the newest versions in a row of which `holds` is true. */
  #since(holds: (keyset: Keyset) => boolean): KeysetVersion {
    let since = this.newest;
    for (const version of this.versions.toReversed()) {
      if (!holds(version.keyset)) break;
      since = version;
    }
    return since;
  }
}

/**
 * Adds a version to a keyset by compare-and-set, after Vault has opened the new one again.
 *
 * @throws {Error} somebody else was first: read it again and repeat
 */
export async function appendKeyset(
  client: Queryable,
  transit: Transit,
  tenant: string,
  cls: string,
  newestVersion: number,
  keyset: Keyset,
): Promise<number> {
  const plain = encodeKeyset(keyset);
  const ciphertext = await transit.wrap(tenant, plain);
  if (!decodeKeyset(await transit.unwrap(tenant, ciphertext)).equals(keyset))
    throw new Error(`tenant ${tenant}: Vault opened the new keyset ${cls} to something else; nothing was changed`);
  const added = bindKeyset(plain, encodeEncryptedKeyset(ciphertext), { tenant, cls, version: newestVersion + 1 });
  const isAdded = await new KeysetTable(client, tenant).append(cls, newestVersion, added);
  if (isAdded) return newestVersion + 1;
  throw new Error(`tenant ${tenant}: keyset ${cls} was changed by somebody else at the same time; run this again`);
}
