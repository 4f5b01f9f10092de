import type pg from "pg";
import type { KeyRange, KeyText } from "../ledger/range.ts";
import type { TenantVectors } from "../milvus/vectors.ts";
import { type Comparison, isEqual, type KeyComparison, type RowDifference, Tally } from "../mirror/compare.ts";
import type { Lane } from "../mirror/pair-shape.ts";
import { floatsOf } from "./vector-bytes.ts";
import { byKey, type KnownRow, readCaptured, readKnownKeys, readKnownRange, type StoredVector } from "./vector-rows.ts";

/** What a comparison of vectors needs besides the snapshot. */
export interface VectorComparer {
  readonly vectors: TenantVectors;
  readonly dimension: number;
  /** Another session on the tenant's database, outside the snapshot. */
  readonly control: pg.Client;
}

/**
 * Compares a range: every vector that pgvector, the register or Milvus has, bit by bit, and its version. Milvus has no part in
 * PostgreSQL's snapshot: a difference counts only if the key still has no captured change and the same version in the
 * register afterwards.
 */
export async function compareVectorRange(
  comparer: VectorComparer,
  client: pg.Client,
  lane: Lane,
  range: KeyRange,
  onDifference?: (difference: RowDifference) => void,
): Promise<Comparison> {
  const known = await readKnownRange(client, lane, range);
  const captured = await readCaptured(client, lane, range);
  const stored = byKey(
    await comparer.vectors.read({ lower: range.lower?.[0] ?? null, upper: range.upper?.[0] ?? null }),
  );
  const names = new Set(known.map(({ key }) => key));
  const strays = [...stored.keys()].filter((key) => !names.has(key) && !captured.has(key));
  // Under the release that writes to Milvus a row is deleted here first: one that is only there is on its way out.
  const surplus =
    lane.fromSide === "source"
      ? strays.map((key): KnownRow => ({ key, binary: null, version: null, isReady: false }))
      : [];
  const pairs = [...known, ...surplus]
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((row) => pairOf(comparer, lane, row, stored.get(row.key)));
  const moved = await findMoved(
    comparer,
    lane,
    pairs.filter(({ isSuspect }) => isSuspect).map(({ row }) => row),
  );
  const tally = new Tally(lane, floats, onDifference);
  for (const { row, from, to } of pairs) if (!moved.has(row.key)) tally.add([row.key], from, to);
  return { ...tally.result(), hasCaptured: captured.size > 0 || moved.size > 0 };
}

/** Compares single keys; those with a captured change, also one that came meanwhile, are left out. */
export async function compareVectorKeys(
  comparer: VectorComparer,
  client: pg.Client,
  lane: Lane,
  keys: readonly KeyText[],
): Promise<KeyComparison[]> {
  const known = await readKnownKeys(client, lane, keys, true);
  const stored = byKey(await comparer.vectors.readKeys(known.map(({ key }) => key)));
  const pairs = known.map((row) => pairOf(comparer, lane, row, stored.get(row.key)));
  const moved = await findMoved(
    comparer,
    lane,
    pairs.filter(({ isSuspect }) => isSuspect).map(({ row }) => row),
  );
  return pairs
    .filter(({ row }) => !moved.has(row.key))
    .map(({ row, from, to }) => {
      const tally = new Tally(lane, floats);
      tally.add([row.key], from, to);
      return { key: [row.key], isEqual: isEqual(tally.result()) };
    });
}

interface Pair {
  readonly row: KnownRow;
  readonly from: Buffer | null;
  readonly to: Buffer | null;
  readonly isSuspect: boolean;
}

/** A vector that is registered, and of which Milvus has none, or one of another version. */
const notWhole = Buffer.alloc(0);

function pairOf({ dimension }: VectorComparer, lane: Lane, row: KnownRow, stored: StoredVector | undefined): Pair {
  const inSource = row.binary === null ? null : floatsOf(`${lane.pair.source}, row ${row.key}`, row.binary, dimension);
  const isWhole = row.version !== null && row.isReady && stored?.version === row.version;
  const isForward = lane.fromSide === "source";
  let inSink: Buffer | null = null;
  if (isWhole) inSink = stored.floats;
  // The copy lacks it (missing), or has more than it should (surplus).
  else if (isForward) inSink = inSource === null && (row.version !== null || stored !== undefined) ? notWhole : null;
  else if (row.version !== null) inSink = notWhole;
  const [from, to] = isForward ? [inSource, inSink] : [inSink, inSource];
  const isSuspect = from === null || to === null ? from !== to : !from.equals(to);
  return { row, from, to, isSuspect };
}

const floats = {
  findDifference(_key: KeyText, one: Buffer, other: Buffer): string | undefined {
    if (one.equals(other)) return undefined;
    return one.length === 0 || other.length === 0
      ? "Milvus does not hold the version that is registered"
      : "its floats are not those of the other side";
  },
};

/** Keys of these rows that have changed since they were read. */
async function findMoved({ control }: VectorComparer, lane: Lane, rows: readonly KnownRow[]): Promise<Set<string>> {
  const now = new Map(
    (
      await readKnownKeys(
        control,
        lane,
        rows.map(({ key }) => [key]),
        true,
      )
    ).map((row) => [row.key, row]),
  );
  const isSame = (one: KnownRow, other: KnownRow | undefined): boolean =>
    other !== undefined &&
    one.version === other.version &&
    one.isReady === other.isReady &&
    (one.binary === null ? other.binary === null : other.binary !== null && one.binary.equals(other.binary));
  return new Set(rows.filter((row) => !isSame(row, now.get(row.key))).map(({ key }) => key));
}
