import type pg from "pg";

/** Texts of a key's columns, in the order of the pair's key. */
export type KeyText = readonly string[];

/** A part of the key space: above `lower`, up to and including `upper`; null is minus or plus infinity. */
export interface KeyRange {
  readonly lower: KeyText | null;
  readonly upper: KeyText | null;
}

/** A range whose rows are in the ledger as copied. */
export interface CopiedRange extends KeyRange {
  readonly ordinal: number;
  readonly rows: number;
  readonly bytes: number;
  readonly isVerified: boolean;
  readonly repairs: number;
}

/** What the ledger holds of one mirror, for results and for the preview. */
export interface CopyTotals {
  readonly rows: number;
  readonly bytes: number;
  readonly ranges: number;
  readonly unverifiedRanges: number;
  readonly unverifiedKeys: number;
}

/** Ranges of a pair in key order. They tile the key space from minus infinity up to the last one's `upper`. */
export async function readRanges(client: pg.Client, mirror: string, pair: string): Promise<CopiedRange[]> {
  const found = await client.query<{
    ordinal: number;
    lower: string[] | null;
    upper: string[] | null;
    rows: string;
    bytes: string;
    verified: boolean;
    repairs: number;
  }>(
    `SELECT ordinal, lower, upper, rows, bytes, coalesce(verified_epoch >= mirror.since_epoch, false) AS verified, repairs
     FROM rc.range JOIN rc.mirror AS mirror USING (mirror) WHERE mirror = $1 AND pair = $2 ORDER BY ordinal`,
    [mirror, pair],
  );
  return found.rows.map(({ verified, rows, bytes, ...rest }) => ({
    ...rest,
    rows: Number(rows),
    bytes: Number(bytes),
    isVerified: verified,
  }));
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

/** The ledger row of a chunk; commits with the rows it speaks of. */
export async function addRange(
  client: pg.Client,
  range: KeyRange & {
    mirror: string;
    pair: string;
    ordinal: number;
    rows: number;
    bytes: number;
    keysetVersion: number;
    epoch: bigint;
  },
): Promise<void> {
  await client.query(
    `INSERT INTO rc.range (mirror, pair, ordinal, lower, upper, rows, bytes, keyset_version, copied_epoch)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      range.mirror,
      range.pair,
      range.ordinal,
      range.lower,
      range.upper,
      range.rows,
      range.bytes,
      range.keysetVersion,
      range.epoch,
    ],
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

/**
 * Places at which a mirror's ranges do not tile the key space from minus to plus infinity: none after a copy that has
 * ended. A gap means that somebody has edited the ledger, and that nobody knows what is in the copy there.
 *
 * @param pairs names of the mirror's pairs: one without any range counts as a gap
 */
export async function countGaps(client: pg.Client, mirror: string, pairs: readonly string[]): Promise<number> {
  const found = await client.query<{ gaps: string }>(
    `SELECT count(*) FILTER (WHERE range.pair IS NULL OR
         CASE WHEN nth = 1 THEN lower IS NOT NULL ELSE before IS NULL OR lower IS DISTINCT FROM before END
         OR (nth = of AND upper IS NOT NULL)) AS gaps
     FROM unnest($2::text[]) AS wanted(pair) LEFT JOIN (
       SELECT pair, lower, upper, lag(upper) OVER keys AS before, row_number() OVER keys AS nth,
         count(*) OVER (PARTITION BY pair) AS of
       FROM rc.range WHERE mirror = $1 WINDOW keys AS (PARTITION BY pair ORDER BY ordinal)) AS range USING (pair)`,
    [mirror, pairs],
  );
  return Number(found.rows[0]?.gaps ?? 0);
}
