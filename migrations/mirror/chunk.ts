import type pg from "pg";
import type { KeyRange, KeyText } from "../ledger/range.ts";
import type { VectorRows } from "../milvus/vectors.ts";
import { copyIn, copyOut } from "../postgres/copy.ts";
import { CopyEncoder } from "../postgres/copy-format.ts";
import { reached } from "./fault-point.ts";
import { keyList, keyTexts, within } from "./key-space.ts";
import { type Lane, payloadSize } from "./pair-shape.ts";
import type { PayloadCodec } from "./sealing.ts";

/** Payload bytes after which a chunk is closed. One value may be larger than that: it is a chunk of its own. */
export const chunkLimitBytes = 8 * 1024 * 1024;

/** Rows of one range, converted and ready to be written to the other side. */
export interface Chunk extends KeyRange {
  readonly rows: number;
  /** Payload bytes as read. */
  readonly bytes: number;
  readonly keysetVersion: number;
  readonly messages: Buffer[];
  /** Rows that go to a store outside the database before the messages do. */
  readonly vectors?: VectorRows;
  /** Keys in it whose payload was not whole when it was read: they are captured changes from here on. */
  readonly left?: readonly KeyText[];
}

/**
 * Reads the next rows above `lower` and converts every payload on the way: as many rows as asked for, or fewer once they
 * hold 8 MiB; up to infinity when there are no more. One pass over the table: the sum of the sizes, read from the headers,
 * ends the chunk where the rows are read.
 */
export async function readNextChunk(
  client: pg.Client,
  lane: Lane,
  lower: KeyText | null,
  rows: number,
  codec: PayloadCodec,
): Promise<Chunk> {
  await reached("chunk.open");
  const { keys } = lane;
  const size = payloadSize(lane.from);
  const chunk = await convertRows(
    client,
    lane,
    `(SELECT *, sum(${size}) OVER (ORDER BY ${keyList(keys)} ROWS UNBOUNDED PRECEDING) - ${size} AS "bytes before"
      FROM (SELECT ${keyList(keys)}, ${lane.from.payload} FROM ${lane.from.quoted}
            WHERE ${within(keyList(keys), keys, { lower, upper: null })} ORDER BY ${keyList(keys)} LIMIT ${rows}) AS page)`,
    `t."bytes before" < ${chunkLimitBytes}`,
    codec,
  );
  const isExhausted = chunk.rows < rows && chunk.bytes < chunkLimitBytes;
  return { ...chunk, lower, upper: isExhausted ? null : (chunk.lastKey as KeyText) };
}

/** Reads a range of the authoritative side and converts every payload on the way. */
export async function readChunk(client: pg.Client, lane: Lane, range: KeyRange, codec: PayloadCodec): Promise<Chunk> {
  const { keys } = lane;
  return {
    ...(await convertRows(client, lane, lane.from.quoted, within(keyList(keys, "t"), keys, range), codec)),
    ...range,
  };
}

type ConvertedRows = Omit<Chunk, "lower" | "upper"> & { readonly lastKey: KeyText | undefined };

async function convertRows(
  client: pg.Client,
  lane: Lane,
  table: string,
  condition: string,
  codec: PayloadCodec,
): Promise<ConvertedRows> {
  const { keys } = lane;
  const encoder = new CopyEncoder();
  let bytes = 0;
  let lastKey: KeyText | undefined;
  await copyOut(
    client,
    `SELECT ${keyList(keys, "t")}, ${keyTexts(keys, "t")}, t.${lane.from.payload} FROM ${table} AS t
     WHERE ${condition} ORDER BY ${keyList(keys, "t")}`,
    (row) => {
      const key = row.slice(keys.length, 2 * keys.length).map((text) => (text as Buffer).toString());
      const payload = row[2 * keys.length] as Buffer;
      bytes += payload.length;
      lastKey = key;
      if (lane.fromSide === "source") {
        encoder.addWritten(row.slice(0, keys.length), codec.sealedBytes(payload), (target, offset) =>
          codec.sealInto(key, payload, target, offset),
        );
      } else encoder.add([...row.slice(0, keys.length), codec.convert("sink", key, payload)]);
    },
  );
  return { rows: encoder.rows, bytes, lastKey, keysetVersion: codec.keysetVersion, messages: encoder.finish() };
}

/** Writes the rows of a chunk to the other side, in the transaction that is open. */
export async function writeChunk(client: pg.Client, lane: Lane, chunk: Chunk): Promise<void> {
  if (chunk.rows === 0) return;
  await copyIn(client, lane.to.quoted, `${keyList(lane.keys)}, ${lane.to.payload}`, chunk.messages);
}
