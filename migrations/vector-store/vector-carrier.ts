import type pg from "pg";
import type { RangeMacs } from "../ledger/range-mac.ts";
import type { KeyRange, KeyText } from "../ledger/range.ts";
import type { Carrier } from "../mirror/carrier.ts";
import { type Chunk, chunkLimitBytes } from "../mirror/chunk.ts";
import { putBack } from "../mirror/drain.ts";
import { reached } from "../mirror/fault-point.ts";
import { joinOn, keyList, keyParameters, keyTable, within } from "../mirror/key-space.ts";
import type { Lane } from "../mirror/pair-shape.ts";
import { copyIn, copyOut } from "../postgres/copy.ts";
import { CopyEncoder } from "../postgres/copy-format.ts";
import { binaryOf, floatsOf } from "./vector-bytes.ts";
import { compareVectorKeys, compareVectorRange, type VectorComparer } from "./vector-compare.ts";
import { byKey, gather, keyColumn, readKnownKeys, type StoredVector, tablesOf } from "./vector-rows.ts";

/** Version of a vector that the engine copies for the first time. */
const firstVersion = 1;

/**
 * Carries vectors between pgvector and Milvus. The sink's table in the tenant's database only registers them - key, version,
 * state - and commits after Milvus has acknowledged: what is registered as ready is there.
 */
export function vectorCarrier(comparer: VectorComparer, macs: RangeMacs): Carrier {
  const { vectors, dimension } = comparer;
  const rowsOf = (rows: number): number => Math.max(1, Math.min(rows, Math.floor(chunkLimitBytes / (4 * dimension))));
  const read = (client: pg.Client, lane: Lane, range: KeyRange, limit?: number): Promise<Chunk> =>
    lane.fromSide === "source"
      ? readFromSource(comparer, client, lane, range, limit)
      : readFromSink(comparer, client, lane, range, limit);
  return {
    keysetVersion: 0,
    macs,
    async readNext(client, lane, lower, rows) {
      await reached("chunk.open");
      return read(client, lane, { lower, upper: null }, rowsOf(rows));
    },
    read: (client, lane, range) => read(client, lane, range),
    async write(client, lane, chunk) {
      if (chunk.vectors !== undefined && chunk.vectors.keys.length > 0) await vectors.upsert(chunk.vectors);
      const { source, register } = tablesOf(lane);
      const [table, columns] =
        lane.fromSide === "source"
          ? [register, `${keyList(lane.keys)}, ${register.payload}, state`]
          : [source, `${keyList(lane.keys)}, ${source.payload}`];
      if (chunk.messages.length > 0) await copyIn(client, table.quoted, columns, chunk.messages);
      await putBack(client, lane, chunk.left ?? []);
    },
    async remove(client, lane, range) {
      if (lane.fromSide === "source") {
        const there = await vectors.read({ lower: range.lower?.[0] ?? null, upper: range.upper?.[0] ?? null });
        await vectors.delete(there.keys);
      }
      await client.query(`DELETE FROM ${lane.to.quoted} WHERE ${within(keyList(lane.keys), lane.keys, range)}`);
    },
    bring: (client, lane, keys) =>
      lane.fromSide === "source"
        ? bringToSink(comparer, client, lane, keys)
        : bringToSource(comparer, client, lane, keys),
    compareRange: (client, lane, range, onDifference) =>
      compareVectorRange(comparer, client, lane, range, onDifference),
    compareKeys: (client, lane, keys) => compareVectorKeys(comparer, client, lane, keys),
  };
}

/** pgvector to Milvus: floats swapped, never numbers. */
async function readFromSource(
  { dimension }: VectorComparer,
  client: pg.Client,
  lane: Lane,
  range: KeyRange,
  limit: number | undefined,
): Promise<Chunk> {
  const key = `t.${keyColumn(lane)}`;
  const encoder = new CopyEncoder();
  const keys: string[] = [];
  const floats: Buffer[] = [];
  await copyOut(
    client,
    `SELECT ${key}, ${key}::text, t.${lane.from.payload} FROM ${lane.from.quoted} AS t
     WHERE ${within(key, lane.keys, range)} ORDER BY ${key} ${limit === undefined ? "" : `LIMIT ${limit}`}`,
    ([binaryKey, text, binary]) => {
      const name = String(text);
      keys.push(name);
      floats.push(floatsOf(`${lane.pair.source}, row ${name}`, binary as Buffer, dimension));
      encoder.add([binaryKey as Buffer, int64(firstVersion), ready]);
    },
  );
  const rows = { keys, versions: keys.map(() => firstVersion), vectors: Buffer.concat(floats) };
  const upper = limit !== undefined && keys.length === limit ? [keys.at(-1) as string] : range.upper;
  return {
    lower: range.lower,
    upper,
    rows: keys.length,
    bytes: rows.vectors.length,
    keysetVersion: 0,
    messages: keys.length === 0 ? [] : encoder.finish(),
    vectors: rows,
  };
}

/** Milvus to pgvector: only what the register calls ready and Milvus has in the same version; the others wait. */
async function readFromSink(
  { vectors, dimension }: VectorComparer,
  client: pg.Client,
  lane: Lane,
  range: KeyRange,
  limit: number | undefined,
): Promise<Chunk> {
  const key = `t.${keyColumn(lane)}`;
  const registered: {
    readonly binaryKey: Buffer;
    readonly name: string;
    readonly version: number;
    readonly isReady: boolean;
  }[] = [];
  await copyOut(
    client,
    `SELECT ${key}, ${key}::text, t.${lane.from.payload}::text, t.state FROM ${lane.from.quoted} AS t
     WHERE ${within(key, lane.keys, range)} ORDER BY ${key} ${limit === undefined ? "" : `LIMIT ${limit}`}`,
    ([binaryKey, name, version, state]) =>
      registered.push({
        binaryKey: Buffer.from(binaryKey as Buffer),
        name: String(name),
        version: Number(String(version)),
        isReady: String(state) === "ready",
      }),
  );
  const upper = limit !== undefined && registered.length === limit ? [registered.at(-1)?.name as string] : range.upper;
  const stored = byKey(await vectors.read({ lower: range.lower?.[0] ?? null, upper: upper?.[0] ?? null }));
  const encoder = new CopyEncoder();
  const left: KeyText[] = [];
  for (const { binaryKey, name, version, isReady } of registered) {
    const found = stored.get(name);
    if (!isReady || found?.version !== version) left.push([name]);
    else encoder.add([binaryKey, binaryOf(`${lane.pair.sink}, row ${name}`, found.floats)]);
  }
  const rows = encoder.rows;
  return {
    lower: range.lower,
    upper,
    rows,
    bytes: rows * 4 * dimension,
    keysetVersion: 0,
    messages: rows === 0 ? [] : encoder.finish(),
    left,
  };
}

async function bringToSink(
  { vectors, dimension }: VectorComparer,
  client: pg.Client,
  lane: Lane,
  keys: readonly KeyText[],
): Promise<readonly KeyText[]> {
  const known = await readKnownKeys(client, lane, keys, false);
  const gone = known.filter(({ binary }) => binary === null).map(({ key }) => key);
  const rows = known.flatMap(({ key, binary, version }) =>
    binary === null
      ? []
      : [{ key, version: (version ?? 0) + 1, floats: floatsOf(`${lane.pair.source}, row ${key}`, binary, dimension) }],
  );
  if (gone.length > 0) {
    await vectors.delete(gone);
    await deleteRows(client, lane, gone);
  }
  if (rows.length === 0) return [];
  await vectors.upsert(gather(rows));
  const { payload } = lane.to;
  await client.query(
    `INSERT INTO ${lane.to.quoted} (${keyList(lane.keys)}, ${payload}, state)
     SELECT key, version, 'ready' FROM unnest($1::text[]::${lane.keys[0]?.type}[], $2::bigint[]) AS new(key, version) ORDER BY key
     ON CONFLICT (${keyList(lane.keys)}) DO UPDATE SET ${payload} = EXCLUDED.${payload}, state = EXCLUDED.state`,
    [rows.map(({ key }) => key), rows.map(({ version }) => version)],
  );
  return [];
}

async function bringToSource(
  { vectors }: VectorComparer,
  client: pg.Client,
  lane: Lane,
  keys: readonly KeyText[],
): Promise<readonly KeyText[]> {
  const known = await readKnownKeys(client, lane, keys, false);
  const stored = byKey(await vectors.readKeys(known.filter(({ isReady }) => isReady).map(({ key }) => key)));
  const gone = known.filter(({ version }) => version === null).map(({ key }) => key);
  const whole: { key: string; found: StoredVector }[] = [];
  const left: KeyText[] = [];
  for (const { key, version, isReady } of known) {
    if (version === null) continue;
    const found = stored.get(key);
    if (isReady && found?.version === version) whole.push({ key, found });
    else left.push([key]);
  }
  if (gone.length > 0) await deleteRows(client, lane, gone);
  if (whole.length > 0) {
    const { quoted, payload } = lane.to;
    // A parameter that is a buffer goes over in binary, and its type is the column's: no float passes through text.
    await client.query(
      `INSERT INTO ${quoted} (${keyList(lane.keys)}, ${payload})
       VALUES ${whole.map((_, nth) => `($${2 * nth + 1}, $${2 * nth + 2})`).join(", ")}
       ON CONFLICT (${keyList(lane.keys)}) DO UPDATE SET ${payload} = EXCLUDED.${payload}`,
      whole.flatMap(({ key, found }) => [key, binaryOf(`${lane.pair.sink}, row ${key}`, found.floats)]),
    );
  }
  return left;
}

async function deleteRows(client: pg.Client, lane: Lane, keys: readonly string[]): Promise<void> {
  await client.query(
    `DELETE FROM ${lane.to.quoted} AS t USING ${keyTable(lane.keys, "k")} WHERE ${joinOn(lane.keys, "t", "k")}`,
    keyParameters(
      lane.keys,
      keys.map((key) => [key]),
    ),
  );
}

const ready = Buffer.from("ready");

function int64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(value));
  return bytes;
}
