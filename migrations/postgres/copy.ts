import { once } from "node:events";
import type pg from "pg";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import { CopyDecoder, type CopyRow } from "./copy-format.ts";

/**
 * Streams the rows of `COPY (query) TO STDOUT (FORMAT binary)`; memory holds one network packet and one row.
 *
 * @throws {Error} the server's error, or the stream ended before its end mark
 */
export async function copyOut(client: pg.Client, query: string, onRow: (row: CopyRow) => void): Promise<void> {
  const decoder = new CopyDecoder();
  const stream = client.query(copyTo(`COPY (${query}) TO STDOUT (FORMAT binary)`));
  // The loop takes every byte even when a row is refused: the connection must be usable afterwards.
  let refusal: Error | undefined;
  for await (const bytes of stream) {
    if (refusal !== undefined) continue;
    try {
      for (const row of decoder.push(bytes as Buffer)) onRow(row);
    } catch (error) {
      refusal = error instanceof Error ? error : new Error(String(error));
    }
  }
  if (refusal !== undefined) throw refusal;
  if (!decoder.isEnded) throw new Error("binary COPY: the stream ended before its end mark");
}

/** Writes messages of `CopyEncoder.finish` into `table (columns)`. @throws {Error} the server's error */
export async function copyIn(client: pg.Client, table: string, columns: string, messages: Buffer[]): Promise<void> {
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
