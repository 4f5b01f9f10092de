import type pg from "pg";
import { note } from "../ledger/journal.ts";
import { ensureLedger } from "../ledger/schema.ts";
import { reached } from "../mirror/fault-point.ts";
import { kekVersionOf } from "../backup/backup-keys.ts";
import { Keyring } from "../vault/keyring.ts";
import { KeysetTable } from "../vault/keyset-table.ts";
import type { Transit } from "../vault/transit.ts";
import { keyEvents } from "./journal-events.ts";

export interface RotationRequest {
  /** Session of the engine's role on the tenant's database, outside a transaction. */
  readonly client: pg.Client;
  readonly transit: Transit;
  readonly tenant: string;
  /** A KEK whose latest version is younger, and whose rotation has ended, is left alone; milliseconds. 0 = none is. */
  readonly minAgeMs: number;
  /** Oldest version of the KEK that a live backup needs; undefined = there is no backup. */
  readonly oldestLiveBackup: number | undefined;
}

export interface RotationResult {
  readonly tenant: string;
  /** `resumed`: a rotation that was killed has been ended. `young`: left alone. `none`: the tenant has no keysets. */
  readonly status: "rotated" | "resumed" | "young" | "none";
  readonly version: number;
  readonly minDecryptionVersion: number;
  /** Keysets by the version of the KEK that wraps them. */
  readonly keysets: Readonly<Record<string, number>>;
}

/**
 * A new version of a tenant's KEK, every keyset wrapped anew under it by Vault's own `rewrap`, and the older versions put out
 * of use as far as no live backup needs them. No row is touched: the keys stay the same. Killed at any point everything still
 * opens, and the next run ends what was begun instead of beginning another. Versions are never trimmed.
 *
 * @throws {VaultError} {PostgresError} and Error when somebody keeps changing keysets meanwhile
 */
export async function rotateKek(request: RotationRequest): Promise<RotationResult> {
  const { client, transit, tenant, minAgeMs, oldestLiveBackup } = request;
  await ensureLedger(client);
  await lockKeys(client, tenant);
  try {
    const keysets = new KeysetTable(client, tenant);
    if (!(await keysets.hasAny())) return { tenant, status: "none", version: 0, minDecryptionVersion: 0, keysets: {} };
    let kek = await transit.getKek(tenant);
    const begun = await findBegun(client);
    if (begun === undefined && Date.now() - kek.latestVersionAt.getTime() < minAgeMs) {
      const { latestVersion: version, minDecryptionVersion } = kek;
      return { tenant, status: "young", version, minDecryptionVersion, keysets: await countByVersion(keysets) };
    }
    const to = begun ?? kek.latestVersion + 1;
    if (begun === undefined) await note(client, { event: keyEvents.rotationBegun, detail: { to } });
    await reached("rotate.begun");
    // The answer to an earlier request may have been lost: Vault says whether it was done.
    if (kek.latestVersion < to) kek = await transit.rotate(tenant);
    await reached("rotate.rotated");
    const counts = await rewrap(client, transit, keysets, tenant, kek.latestVersion);
    await reached("rotate.rewrapped");
    const oldest = Math.min(kek.latestVersion, oldestLiveBackup ?? kek.latestVersion);
    kek = await transit.raiseMinDecryptionVersion(tenant, oldest);
    await reached("rotate.raised");
    const { latestVersion: version, minDecryptionVersion } = kek;
    await note(client, { event: keyEvents.rotated, detail: { version, minDecryptionVersion } });
    return {
      tenant,
      status: begun === undefined ? "rotated" : "resumed",
      version,
      minDecryptionVersion,
      keysets: counts,
    };
  } finally {
    await client.query("SELECT pg_advisory_unlock($1, $2)", lockNumbers).catch(() => undefined);
  }
}

/** Keysets by the version of the KEK that wraps them: a census of all of them. */
export async function countByVersion(keysets: KeysetTable): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { encrypted } of await keysets.all()) {
    const version = String(kekVersionOf(encrypted));
    counts[version] = (counts[version] ?? 0) + 1;
  }
  return counts;
}

/** Until the census finds no keyset under an older version: one could have been written while others were wrapped. */
async function rewrap(
  client: pg.Client,
  transit: Transit,
  keysets: KeysetTable,
  tenant: string,
  version: number,
): Promise<Record<string, number>> {
  const keyring = new Keyring({ client, transit, tenant });
  for (let nth = 1; nth <= rewrapTries; nth += 1) {
    await keyring.rewrapAll();
    const counts = await countByVersion(keysets);
    if (Object.keys(counts).every((each) => Number(each) >= version)) return counts;
  }
  throw new Error(
    `tenant ${tenant}: keysets under older versions of the KEK keep coming; every one of them opens, run this again: coordinator keys rotate`,
  );
}

const rewrapTries = 5;

/** Version that a rotation which has not ended was to reach. */
async function findBegun(client: pg.Client): Promise<number | undefined> {
  const found = await client.query<{ event: string; to: string | null }>(
    "SELECT event, detail ->> 'to' AS to FROM rc.journal WHERE event = ANY ($1) ORDER BY id DESC LIMIT 1",
    [[keyEvents.rotationBegun, keyEvents.rotated]],
  );
  const [last] = found.rows;
  return last?.event === keyEvents.rotationBegun ? Number(last.to) : undefined;
}

/** One change of keys at a time. @throws naming the tenant */
export async function lockKeys(client: pg.Client, tenant: string): Promise<void> {
  const tried = await client.query<{ locked: boolean }>("SELECT pg_try_advisory_lock($1, $2) AS locked", lockNumbers);
  if (tried.rows[0]?.locked !== true)
    throw new Error(`tenant ${tenant}: another run changes its keys; wait for that one, then run this again`);
}

/** "rc" and 3; 1 is the tenant's own lock. */
const lockNumbers = [0x7263, 3];
