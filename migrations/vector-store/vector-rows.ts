import type pg from "pg";
import type { KeyRange, KeyText } from "../ledger/range.ts";
import type { VectorRows } from "../milvus/vectors.ts";
import { joinOn, keyParameters, keyTable, within } from "../mirror/key-space.ts";
import { type Lane, payloadBytes, type TableShape } from "../mirror/pair-shape.ts";
import { quoteName } from "../postgres/identifier.ts";
import { copyOut } from "../postgres/copy.ts";

/** What the database knows of one key: the vector in pgvector, and what the register says of the one in Milvus. */
export interface KnownRow {
  readonly key: string;
  /** pgvector's binary form; null when the source has no such row. */
  readonly binary: Buffer | null;
  /** Version and state in the register; null when it has no such row. */
  readonly version: number | null;
  readonly isReady: boolean;
}

/** The two tables of a lane by what they are, whichever is authoritative. */
export function tablesOf(lane: Lane): { readonly source: TableShape; readonly register: TableShape } {
  return lane.fromSide === "source"
    ? { source: lane.from, register: lane.to }
    : { source: lane.to, register: lane.from };
}

/** The key column of a lane; such a mirror has one. */
export function keyColumn(lane: Lane): string {
  return quoteName(lane.keys[0]?.name ?? "");
}

/** Rows of a range without those that have a captured change, in key order, in the transaction that is open. */
export async function readKnownRange(client: pg.Client, lane: Lane, range: KeyRange): Promise<KnownRow[]> {
  const { source, register } = tablesOf(lane);
  const key = keyColumn(lane);
  const condition = within(key, lane.keys, range);
  const rows: KnownRow[] = [];
  await copyOut(
    client,
    `SELECT coalesce(a.k1, b.k1)::text, a.payload, b.version::text, b.state
     FROM (SELECT ${key} AS k1, ${source.payload} AS payload FROM ${source.quoted} WHERE ${condition}) AS a
     FULL JOIN (SELECT ${key} AS k1, ${register.payload} AS version, state FROM ${register.quoted} WHERE ${condition}) AS b
       ON a.k1 = b.k1
     WHERE NOT EXISTS (SELECT FROM ${lane.dirty} AS d WHERE d.k1 = coalesce(a.k1, b.k1)) ORDER BY coalesce(a.k1, b.k1)`,
    ([name, binary, version, state]) =>
      rows.push({
        key: String(name),
        binary: binary === null || binary === undefined ? null : Buffer.from(binary),
        version: version === null ? null : Number(String(version)),
        isReady: String(state) === "ready",
      }),
  );
  return rows;
}

/** What the database knows of these keys; those that neither side has are in it too. */
export async function readKnownKeys(
  client: pg.Client,
  lane: Lane,
  keys: readonly KeyText[],
  withoutCaptured: boolean,
): Promise<KnownRow[]> {
  if (keys.length === 0) return [];
  const { source, register } = tablesOf(lane);
  const found = await client.query<{
    key: string;
    binary: Buffer | null;
    version: string | null;
    state: string | null;
  }>(
    `SELECT k.k1::text AS key, ${payloadBytes(source, "a")} AS binary, b.${register.payload} AS version, b.state
     FROM ${keyTable(lane.keys, "k")}
     LEFT JOIN ${source.quoted} AS a ON ${joinOn(lane.keys, "a", "k")}
     LEFT JOIN ${register.quoted} AS b ON ${joinOn(lane.keys, "b", "k")}
     ${withoutCaptured ? `WHERE NOT EXISTS (SELECT FROM ${lane.dirty} AS d WHERE d.k1 = k.k1)` : ""} ORDER BY k.k1`,
    keyParameters(lane.keys, keys),
  );
  return found.rows.map(({ key, binary, version, state }) => ({
    key,
    binary,
    version: version === null ? null : Number(version),
    isReady: state === "ready",
  }));
}

/** Keys of a range that have a captured change. */
export async function readCaptured(client: pg.Client, lane: Lane, range: KeyRange): Promise<Set<string>> {
  const found = await client.query<{ key: string }>(
    `SELECT DISTINCT d.k1::text AS key FROM ${lane.dirty} AS d WHERE ${within("d.k1", lane.keys, range)}`,
  );
  return new Set(found.rows.map(({ key }) => key));
}

/** A row in Milvus. */
export interface StoredVector {
  readonly version: number;
  /** Little-endian. */
  readonly floats: Buffer;
}

/** Rows of Milvus by key. */
export function byKey(rows: VectorRows): Map<string, StoredVector> {
  const rowBytes = rows.keys.length === 0 ? 0 : rows.vectors.length / rows.keys.length;
  return new Map(
    rows.keys.map((key, nth) => [
      key,
      { version: rows.versions[nth] as number, floats: rows.vectors.subarray(nth * rowBytes, (nth + 1) * rowBytes) },
    ]),
  );
}

/** Rows for Milvus from single ones. */
export function gather(
  rows: readonly { readonly key: string; readonly version: number; readonly floats: Buffer }[],
): VectorRows {
  return {
    keys: rows.map(({ key }) => key),
    versions: rows.map(({ version }) => version),
    vectors: Buffer.concat(rows.map(({ floats }) => floats)),
  };
}
