import type pg from "pg";
import { LedgerError, rangeName } from "./ledger-error.ts";
import type { RangeMacs } from "./range-mac.ts";

/** Texts of a key's columns, in the order of the pair's key. */
export type KeyText = readonly string[];

/** A part of the key space: above `lower`, up to and including `upper`; null is minus or plus infinity. */
export interface KeyRange {
  readonly lower: KeyText | null;
  readonly upper: KeyText | null;
}

/** A row of `rc.range`: a range whose rows are copied. */
export interface RangeRow extends KeyRange {
  readonly mirror: string;
  readonly pair: string;
  readonly ordinal: number;
  /** Rows and payload bytes when the range was copied. */
  readonly rows: number;
  readonly bytes: number;
  /** Version of the keyset in use when the range was copied. */
  readonly keysetVersion: number;
  /** Epoch in which the copy began: the one of rc.mirror, so that rows of another copy never pass for this one's. */
  readonly sinceEpoch: bigint;
  readonly copiedEpoch: bigint;
  /** Epoch in which both sides were found equal; null before. */
  readonly verifiedEpoch: bigint | null;
  readonly repairs: number;
  /** MAC of what the range held when it was compared; null before, and as soon as a change was drained into it. */
  readonly root: Buffer | null;
  /** MAC of all the above; null only in a row that the engine did not write. */
  readonly mac: Buffer | null;
}

/** A range as it is read. */
export interface CopiedRange extends RangeRow {
  readonly isVerified: boolean;
}

/** What the ledger holds of one mirror, for results and for the preview. */
export interface CopyTotals {
  readonly rows: number;
  readonly bytes: number;
  readonly ranges: number;
  readonly unverifiedRanges: number;
  readonly unverifiedKeys: number;
}

interface StoredRange {
  mirror: string;
  pair: string;
  ordinal: number;
  lower: string[] | null;
  upper: string[] | null;
  rows: string;
  bytes: string;
  keyset_version: number;
  since_epoch: string;
  copied_epoch: string;
  verified_epoch: string | null;
  repairs: number;
  root: Buffer | null;
  mac: Buffer | null;
}

/**
 * Ranges of a pair in key order. They tile the key space from minus infinity up to the last one's `upper`.
 *
 * @param condition SQL over `range`, for a part of them; `values` are its parameters from $3 on
 */
export async function readRanges(
  client: pg.Client,
  mirror: string,
  pair: string,
  condition = "true",
  values: readonly unknown[] = [],
): Promise<CopiedRange[]> {
  const found = await client.query<StoredRange>(
    `SELECT range.mirror, pair, ordinal, lower, upper, rows, bytes, coalesce(range.keyset_version, 0) AS keyset_version,
       since_epoch, copied_epoch, verified_epoch, repairs, root, mac
     FROM rc.range AS range JOIN rc.mirror USING (mirror) WHERE mirror = $1 AND pair = $2 AND ${condition} ORDER BY ordinal`,
    [mirror, pair, ...values],
  );
  return found.rows.map((row) => {
    const sinceEpoch = BigInt(row.since_epoch);
    const verifiedEpoch = row.verified_epoch === null ? null : BigInt(row.verified_epoch);
    return {
      mirror: row.mirror,
      pair: row.pair,
      ordinal: row.ordinal,
      lower: row.lower,
      upper: row.upper,
      rows: Number(row.rows),
      bytes: Number(row.bytes),
      keysetVersion: row.keyset_version,
      sinceEpoch,
      copiedEpoch: BigInt(row.copied_epoch),
      verifiedEpoch,
      repairs: row.repairs,
      root: row.root,
      mac: row.mac,
      isVerified: verifiedEpoch !== null && verifiedEpoch >= sinceEpoch,
    };
  });
}

/** Up to where a pair is copied: `nothing`, the last key, or null for all of it. */
export async function readFrontier(
  client: pg.Client,
  mirror: string,
  pair: string,
): Promise<KeyText | null | "nothing"> {
  const found = await client.query<{ upper: string[] | null }>(
    "SELECT upper FROM rc.range WHERE mirror = $1 AND pair = $2 ORDER BY ordinal DESC LIMIT 1",
    [mirror, pair],
  );
  const last = found.rows[0];
  return last === undefined ? "nothing" : last.upper;
}

/** What a chunk says of its range. */
export type NewRange = Omit<RangeRow, "verifiedEpoch" | "repairs" | "root" | "mac">;

/** The ledger row of a chunk; commits with the rows it speaks of. */
export async function addRange(client: pg.Client, macs: RangeMacs, range: NewRange): Promise<void> {
  const mac = macs.sign({ ...range, verifiedEpoch: null, repairs: 0, root: null, mac: null });
  await client.query(
    `INSERT INTO rc.range (mirror, pair, ordinal, lower, upper, rows, bytes, keyset_version, copied_epoch, mac)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      range.mirror,
      range.pair,
      range.ordinal,
      range.lower,
      range.upper,
      range.rows,
      range.bytes,
      range.keysetVersion,
      range.copiedEpoch,
      mac,
    ],
  );
}

/**
 * Writes what has become of some ranges, with their new MACs; each row has to be as it was read.
 *
 * @throws {LedgerError} a row was edited meanwhile
 */
export async function changeRanges(
  client: pg.Client,
  macs: RangeMacs,
  ranges: readonly RangeRow[],
  change: Partial<Pick<RangeRow, "verifiedEpoch" | "repairs" | "root">>,
): Promise<void> {
  if (ranges.length === 0) return;
  const forged = ranges.find((range) => !macs.isGenuine(range));
  const changed = ranges.map((range) => ({ ...range, ...change }));
  const updated = await client.query(
    `UPDATE rc.range AS range SET verified_epoch = new.verified_epoch, repairs = new.repairs, root = new.root, mac = new.mac,
       verified_at = CASE WHEN new.verified_epoch IS DISTINCT FROM range.verified_epoch THEN now() ELSE verified_at END
     FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[], $5::bigint[], $6::int[], $7::bytea[], $8::bytea[])
       AS new(mirror, pair, ordinal, was, verified_epoch, repairs, root, mac)
     WHERE range.mirror = new.mirror AND range.pair = new.pair AND range.ordinal = new.ordinal AND range.mac = new.was`,
    [
      changed.map((range) => range.mirror),
      changed.map((range) => range.pair),
      changed.map((range) => range.ordinal),
      changed.map((range) => range.mac),
      changed.map((range) => range.verifiedEpoch),
      changed.map((range) => range.repairs),
      changed.map((range) => range.root),
      changed.map((range) => macs.sign(range)),
    ],
  );
  if (forged === undefined && updated.rowCount === ranges.length) return;
  throw new LedgerError(
    `${rangeName(forged ?? (ranges[0] as RangeRow))} was edited by somebody else while the engine worked on it; nothing was changed: finalize the mirror away and prepare it again (coordinator finalize)`,
  );
}

/** Counts over all pairs of a mirror. */
export async function readTotals(client: pg.Client, mirror: string): Promise<CopyTotals> {
  const found = await client.query<
    Record<"rows" | "bytes" | "ranges" | "unverified_ranges" | "unverified_keys", string>
  >(
    `SELECT coalesce(sum(range.rows), 0) AS rows, coalesce(sum(range.bytes), 0) AS bytes, count(range) AS ranges,
       count(range) FILTER (WHERE range.verified_epoch IS NULL OR range.verified_epoch < mirror.since_epoch)
         AS unverified_ranges,
       (SELECT count(*) FROM rc.unverified WHERE mirror = $1) AS unverified_keys
     FROM rc.mirror AS mirror LEFT JOIN rc.range AS range USING (mirror) WHERE mirror.mirror = $1`,
    [mirror],
  );
  const row = found.rows[0];
  return {
    rows: Number(row?.rows ?? 0),
    bytes: Number(row?.bytes ?? 0),
    ranges: Number(row?.ranges ?? 0),
    unverifiedRanges: Number(row?.unverified_ranges ?? 0),
    unverifiedKeys: Number(row?.unverified_keys ?? 0),
  };
}
