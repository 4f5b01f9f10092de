import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type pg from "pg";
import { from } from "pg-copy-streams";

export type CopyValue = string | number | null;

/** Sends rows to a table by COPY in text form. Names come from the caller's own code, never from data. */
export async function copyRows(
  client: pg.Client,
  table: string,
  columns: readonly string[],
  rows: readonly (readonly CopyValue[])[],
): Promise<void> {
  if (rows.length === 0) return;
  const stream = client.query(from(`COPY ${table} (${columns.join(", ")}) FROM STDIN`));
  await pipeline(Readable.from(lines(rows)), stream);
}

function* lines(rows: readonly (readonly CopyValue[])[]): Generator<string> {
  for (const row of rows) yield `${row.map(escapeValue).join("\t")}\n`;
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeValue(value: CopyValue): string {
  if (value === null) return "\\N";
  return typeof value === "number" ? String(value) : value.replace(/[\\\n\r\t]/g, (character) => ESCAPES[character]!);
}
