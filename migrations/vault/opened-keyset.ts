import { Aead } from "../tink/aead.ts";
import { decodeEncryptedKeyset, decodeKeyset, type Keyset } from "../tink/keyset.ts";
import type { KeyType } from "../tink/key-type.ts";
import { Mac } from "../tink/mac.ts";
import { isBound } from "./keyset-binding.ts";
import type { KeysetRow } from "./keyset-table.ts";
import type { Transit } from "./transit.ts";

/** Classes whose keysets seal rows. The one that seals backups is of streaming keys: migrations/backup/backup-keys.ts. */
export type AeadClass = "prompt";

/** What a keyset is for; each tenant has one keyset per class. `verify` signs the ledger. */
export type KeysetClass = AeadClass | "verify";

/** Type of a class's keys. */
export function keyTypeOfClass(cls: string): KeyType {
  return cls === "verify" ? "HMAC_SHA256" : "AES256_GCM";
}

export interface OpenedKeyset {
  /** Row of rc.keyset it comes from; 1 and up. */
  readonly version: number;
  readonly aead: Aead;
}

export interface OpenedMacKeyset {
  /** Row of rc.keyset it comes from; 1 and up. */
  readonly version: number;
  readonly mac: Mac;
}

/** The opened keyset of a class. */
export type Opened<C extends KeysetClass> = C extends "verify" ? OpenedMacKeyset : OpenedKeyset;

/** A keyset that is not there, that is not what its row says, or that may not change in the way asked for. */
export class KeyringError extends Error {
  override readonly name = "KeyringError";
}

/**
 * The keyset of a row of `rc.keyset` in clear, after everything that can be wrong with the row was looked at.
 *
 * @throws {VaultError} @throws {KeysetError} Vault did not wrap it
 * @throws {KeyringError} the keyset belongs to another tenant, class or version, or is not the newest there was
 */
export async function unwrapRow(transit: Transit, tenant: string, row: KeysetRow): Promise<Buffer> {
  const { cls, version } = row;
  const subject = `tenant ${tenant}: keyset ${cls} version ${version} in rc.keyset`;
  const mend = "restore rc.keyset and rc.keyset_head of this tenant from a backup; nothing was written";
  const keyset = await transit.unwrap(tenant, decodeEncryptedKeyset(row.encrypted));
  if (row.binding === null || !isBound(keyset, { tenant, cls, version, kind: "keyset" }, row.binding)) {
    throw new KeyringError(
      `${subject} was not stored there: it is another class's, version's or tenant's, or was stored by a program that did not bind keysets yet; ${mend}`,
    );
  }
  if (row.head === undefined) return keyset;
  if (row.head === null || row.head.version !== version) {
    throw new KeyringError(
      `${subject} is not the one stored last: rc.keyset_head names ${row.head === null ? "none" : `version ${row.head.version}`}; it was rolled back: ${mend}`,
    );
  }
  if (!isBound(keyset, { tenant, cls, version, kind: "head" }, row.head.binding)) {
    throw new KeyringError(`${subject}: its row in rc.keyset_head was edited; ${mend}`);
  }
  return keyset;
}

/** {@link unwrapRow} for keysets that seal rows or sign. */
export async function openRow(transit: Transit, tenant: string, row: KeysetRow): Promise<Keyset> {
  return decodeKeyset(await unwrapRow(transit, tenant, row));
}

/** The primitive of a keyset. */
export function openedAs<C extends KeysetClass>(cls: C, version: number, keyset: Keyset): Opened<C> {
  const opened =
    keyTypeOfClass(cls) === "HMAC_SHA256" ? { version, mac: new Mac(keyset) } : { version, aead: new Aead(keyset) };
  return opened as Opened<C>;
}
