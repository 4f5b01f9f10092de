import { once } from "node:events";
import type pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { CopyDecoder, type CopyRow } from "./copy-format.ts";
import { CopyOutQuery } from "./copy-out.ts";

/**
 * Streams the rows of `COPY (query) TO STDOUT (FORMAT binary)`; memory holds one network packet and one row. The fields of
 * a row are views that are gone when `onRow` returns.
 *
 * @throws {Error} the server's error, what `onRow` threw, or the stream ended before its end mark
 */
export async function copyOut(client: pg.Client, query: string, onRow: (row: CopyRow) => void): Promise<void> {
  const decoder = new CopyDecoder();
  const copy = new CopyOutQuery(`COPY (${query}) TO STDOUT (FORMAT binary)`, (bytes) => decoder.push(bytes, onRow));
  client.query(copy);
  await copy.ended;
  if (!decoder.isEnded) throw new Error("binary COPY: the stream ended before its end mark");
}

/** Writes messages of `CopyEncoder.finish` into `table (columns)`. @throws {Error} the server's error */
export async function copyIn(
  client: pg.Client,
  table: string,
  columns: string,
  messages: readonly Buffer[],
): Promise<void> {
  const stream = client.query(copyFrom(`COPY ${table} (${columns}) FROM STDIN (FORMAT binary)`));
  const finished = once(stream, "finish");
  finished.catch(() => {});
  const failed = new Promise<never>((_, reject) => stream.once("error", reject));
  failed.catch(() => {});
  for (const message of messages) {
    if (!stream.write(message)) await Promise.race([once(stream, "drain"), failed]);
  }
  stream.end();
  await Promise.race([finished, failed]);
}
