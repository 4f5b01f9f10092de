import type pg from "pg";
import { note } from "../ledger/journal.ts";
import { longestCacheAgeMs } from "../vault/keyring.ts";
import type { Transit } from "../vault/transit.ts";
import { keyEvents } from "./journal-events.ts";
import { countRowsByKey } from "./key-census.ts";
import { appendKeyset, KeysetHistory } from "./keyset-history.ts";

/** What one key may seal before another one follows it. Random ivs of 96 bits allow 2^32 values; this stays far below. */
export interface PrimaryLimits {
  readonly ageMs: number;
  /** Values and bytes of bulk work. */
  readonly rows: number;
  readonly bytes: number;
}

/** 90 days, 2^28 values, 1 TiB. */
export const primaryLimits: PrimaryLimits = { ageMs: 90 * 86_400_000, rows: 2 ** 28, bytes: 2 ** 40 };

/** `added`: it opens and does not seal yet. `waiting`: the same, since an earlier run. `kept`: nothing was due. */
export interface PrimaryResult {
  readonly cls: string;
  readonly status: "added" | "waiting" | "promoted" | "kept";
  /** The key that was added, waits or was promoted; of `kept` the primary one. */
  readonly keyId: number;
  /** Earliest time at which a key that was added or waits may seal. */
  readonly sealsFrom?: Date;
}

/**
 * Takes a class one step towards a new primary key: adds one when it is due, promotes one that everybody has had time to
 * learn. Waits for nothing: the time is in the ledger, whoever comes after it promotes.
 *
 * @param isWanted add a key although none is due; one that waits is promoted first
 * @returns undefined when the tenant has no keyset of the class
 */
export async function tendPrimary(
  client: pg.Client,
  transit: Transit,
  tenant: string,
  cls: string,
  { isWanted = false, limits = primaryLimits, cacheAgeMs = longestCacheAgeMs } = {},
): Promise<PrimaryResult | undefined> {
  const history = await KeysetHistory.read(client, transit, tenant, cls);
  if (history === undefined) return undefined;
  const { newest, waiting } = history;
  const append = (keyset: typeof newest.keyset) => appendKeyset(client, transit, tenant, cls, newest.version, keyset);
  if (waiting !== undefined) {
    const { keyId, ageMs } = waiting;
    if (ageMs < cacheAgeMs)
      return { cls, status: "waiting", keyId, sealsFrom: new Date(Date.now() + cacheAgeMs - ageMs) };
    await append(newest.keyset.withPrimary(keyId));
    await note(client, { event: keyEvents.keyPromoted, detail: { class: cls, keyId } });
    return { cls, status: "promoted", keyId };
  }
  if (!isWanted && !(await isDue(client, history, limits)))
    return { cls, status: "kept", keyId: newest.keyset.primaryKeyId };
  const extended = newest.keyset.withNewKey();
  const keyId = extended.keys.at(-1)?.id ?? 0;
  await append(extended);
  const sealsFrom = new Date(Date.now() + cacheAgeMs);
  await note(client, { event: keyEvents.keyAdded, detail: { class: cls, keyId, sealsFrom } });
  return { cls, status: "added", keyId, sealsFrom };
}

/**
 * Puts a key out of use. It stays in the keyset, disabled, so that a backup with its rows can still be restored.
 *
 * @throws naming why it is still needed: it seals, sealed a moment ago, waits for its promotion, or sealed rows that are there
 */
export async function disableKey(
  client: pg.Client,
  transit: Transit,
  tenant: string,
  keyId: number,
  cls: string,
  cacheAgeMs = longestCacheAgeMs,
): Promise<void> {
  const history = await KeysetHistory.read(client, transit, tenant, cls);
  const key = history?.newest.keyset.keys.find(({ id }) => id === keyId);
  const subject = `tenant ${tenant}: key ${keyId} of keyset ${cls}`;
  if (history === undefined || key === undefined)
    throw new Error(`${subject} does not exist; coordinator keys status shows those that do`);
  if (key.status !== "enabled") return;
  const sealedUntilMs = history.sealedUntilMs(keyId);
  if (keyId === history.newest.keyset.primaryKeyId)
    throw new Error(`${subject} seals; give the tenant another one first: coordinator keys new-primary`);
  if (sealedUntilMs === undefined)
    throw new Error(`${subject} waits for its promotion; let it seal first: coordinator keys new-primary`);
  if (sealedUntilMs < cacheAgeMs)
    throw new Error(
      `${subject} was replaced ${Math.floor(sealedUntilMs / 1000)} s ago, a service may seal with it for ${cacheAgeMs / 1000} s; run this again then`,
    );
  const rows = (await countRowsByKey(client, cls)).find((each) => each.keyId === keyId)?.rows ?? 0;
  if (rows > 0) throw new Error(`${subject} opens ${rows} rows that are there; it can go when they are written anew`);
  const { version, keyset } = history.newest;
  await appendKeyset(client, transit, tenant, cls, version, keyset.withStatus(keyId, "disabled"));
  await note(client, { event: keyEvents.keyDisabled, detail: { class: cls, keyId } });
}

/** Chunks of bulk work note the version of the keyset that sealed them. */
async function isDue(client: pg.Client, history: KeysetHistory, limits: PrimaryLimits): Promise<boolean> {
  if (history.primaryAgeMs >= limits.ageMs) return true;
  const found = await client.query<{ rows: string; bytes: string }>(
    `SELECT coalesce(sum(rows), 0) AS rows, coalesce(sum(bytes), 0) AS bytes FROM rc.range WHERE keyset_version >= $1`,
    [history.primarySince],
  );
  const [bulk] = found.rows;
  return Number(bulk?.rows) >= limits.rows || Number(bulk?.bytes) >= limits.bytes;
}
