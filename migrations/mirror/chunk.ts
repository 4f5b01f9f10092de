import type pg from "pg";
import type { KeyRange, KeyText } from "../ledger/range.ts";
import { copyIn, copyOut } from "../postgres/copy.ts";
import { CopyEncoder } from "../postgres/copy-format.ts";
import { reached } from "./fault-point.ts";
import { keyList, keyTexts, within } from "./key-space.ts";
import type { Lane } from "./pair-shape.ts";
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
}

/**
 * The next range above `lower`: as many rows as asked for, or fewer once they hold 8 MiB; up to infinity when there are
 * no more. Sizes are read from the headers, no payload is touched.
 */
export async function planRange(client: pg.Client, lane: Lane, lower: KeyText | null, rows: number): Promise<KeyRange> {
  const { keys } = lane;
  const names = keys.map((_, nth) => `c${nth}`);
  const aliased = keys.map((key, nth) => `${keyList([key])} AS ${names[nth]}`).join(", ");
  const found = await client.query<Record<string, string>>(
    `WITH page AS (
       SELECT ${aliased}, octet_length(${lane.payload}) AS bytes FROM ${lane.from.quoted}
       WHERE ${within(keyList(keys), keys, { lower, upper: null })} ORDER BY ${keyList(keys)} LIMIT ${rows}),
     running AS (
       SELECT page.*, row_number() OVER in_order AS nth, sum(bytes) OVER in_order - bytes AS before FROM page
       WINDOW in_order AS (ORDER BY ${names.join(", ")} ROWS UNBOUNDED PRECEDING))
     SELECT ${names.map((name) => `${name}::text`).join(", ")}, nth, (SELECT count(*) FROM page) AS page
     FROM running WHERE before < ${chunkLimitBytes} ORDER BY nth DESC LIMIT 1`,
  );
  const last = found.rows[0];
  const isExhausted = last === undefined || (last["nth"] === last["page"] && Number(last["page"]) < rows);
  return { lower, upper: isExhausted ? null : names.map((name) => last[name] as string) };
}

/** Reads a range of the authoritative side and converts every payload on the way. */
export async function readChunk(client: pg.Client, lane: Lane, range: KeyRange, codec: PayloadCodec): Promise<Chunk> {
  await reached("chunk.open");
  const { keys } = lane;
  const encoder = new CopyEncoder();
  let bytes = 0;
  await copyOut(
    client,
    `SELECT ${keyList(keys, "t")}, ${keyTexts(keys, "t")}, t.${lane.payload} FROM ${lane.from.quoted} AS t
     WHERE ${within(keyList(keys, "t"), keys, range)} ORDER BY ${keyList(keys, "t")}`,
    (row) => {
      const key = row.slice(keys.length, 2 * keys.length).map((text) => (text as Buffer).toString());
      const payload = row[2 * keys.length] as Buffer;
      bytes += payload.length;
      encoder.add([...row.slice(0, keys.length), codec.convert(lane.fromSide, key, payload)]);
    },
  );
  return { ...range, rows: encoder.rows, bytes, keysetVersion: codec.keysetVersion, messages: encoder.finish() };
}

/** Writes the rows of a chunk to the other side, in the transaction that is open. */
export async function writeChunk(client: pg.Client, lane: Lane, chunk: Chunk): Promise<void> {
  if (chunk.rows === 0) return;
  await copyIn(client, lane.to.quoted, `${keyList(lane.keys)}, ${lane.payload}`, chunk.messages);
}
