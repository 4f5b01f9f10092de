import { decodeEncryptedKeyset, encodeEncryptedKeyset } from "../tink/keyset.ts";
import {
  decodeStreamingKeyset,
  encodeStreamingKeyset,
  generateStreamingKeyset,
  type StreamingKeyset,
} from "../tink/streaming-keyset.ts";
import { bindKeyset } from "../vault/keyset-binding.ts";
import { KeysetTable, type Queryable } from "../vault/keyset-table.ts";
import { unwrapRow } from "../vault/opened-keyset.ts";
import type { Transit } from "../vault/transit.ts";

/** Class of the keyset that seals a tenant's backups. */
export const backupClass = "backup";

/** A streaming keyset, and the form in which it is kept. */
export interface OpenedBackupKeyset {
  readonly version: number;
  readonly keyset: StreamingKeyset;
  /** EncryptedKeyset in binary, wrapped by the tenant's KEK. */
  readonly encrypted: Buffer;
}

/**
 * The tenant's keyset of class `backup`; the first one, and the KEK, are made if there is none. Whoever calls at the same
 * time gets the same keyset.
 *
 * @throws {VaultError} `missing-key`: the tenant has keysets but no KEK, as after a shred
 * @throws {KeyringError} the keyset is not what its row says
 */
export async function ensureBackupKeyset(
  client: Queryable,
  transit: Transit,
  tenant: string,
): Promise<OpenedBackupKeyset> {
  const table = new KeysetTable(client, tenant);
  if ((await table.findNewest(backupClass)) === undefined) {
    await ((await table.hasAny()) ? transit.getKek(tenant) : transit.ensureKek(tenant));
    const fresh = encodeStreamingKeyset(generateStreamingKeyset());
    const encrypted = encodeEncryptedKeyset(await transit.wrap(tenant, fresh));
    await openBackupKeyset(transit, tenant, encrypted); // what does not open again is not kept
    await table.append(backupClass, 0, bindKeyset(fresh, encrypted, { tenant, cls: backupClass, version: 1 }));
  }
  const row = await table.findNewest(backupClass);
  if (row === undefined) throw new Error(`tenant ${tenant}: rc.keyset lost its keyset ${backupClass}; run this again`);
  const { version, encrypted } = row;
  return { version, encrypted, keyset: decodeStreamingKeyset(await unwrapRow(transit, tenant, row)) };
}

/** @throws {VaultError} the KEK is gone, or no longer opens this version @throws {KeysetError} */
export async function openBackupKeyset(
  transit: Transit,
  tenant: string,
  encrypted: Uint8Array,
): Promise<StreamingKeyset> {
  return decodeStreamingKeyset(await transit.unwrap(tenant, decodeEncryptedKeyset(encrypted)));
}

/** Version of the KEK that wraps an EncryptedKeyset. @throws {KeysetError} */
export function kekVersionOf(encrypted: Uint8Array): number {
  return Number(/^vault:v(\d+):/.exec(decodeEncryptedKeyset(encrypted))?.[1]);
}
