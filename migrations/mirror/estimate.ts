import type pg from "pg";
import { Aead, overheadBytes } from "../tink/aead.ts";
import { generateKeyset } from "../tink/keyset.ts";
import { quoteName, quoteTable } from "../postgres/identifier.ts";
import type { Side } from "../ledger/position.ts";
import type { MirrorDefinition } from "./definition.ts";

/** How much one side of a mirror holds. */
export interface SideSize {
  readonly rows: number;
  /** Payload bytes. */
  readonly bytes: number;
}

/** Counts the rows of a side exactly, and their payload bytes from the headers. Reads only. */
export async function measureSide(client: pg.Client, definition: MirrorDefinition, side: Side): Promise<SideSize> {
  const { collection } = definition;
  const bytesSql = (payload: string): string =>
    collection === undefined
      ? `coalesce(sum(octet_length(${quoteName(payload)})), 0)`
      : `count(*) * ${4 * collection.dimension}`;
  let [rows, bytes] = [0, 0];
  for (const pair of definition.pairs) {
    const table = side === "source" ? pair.source : pair.sink;
    const quoted = quoteTable("public", table);
    const present = await client.query("SELECT WHERE to_regclass($1) IS NOT NULL", [quoted]);
    if (present.rowCount === 0) continue;
    const counted = await client.query<{ rows: string; bytes: string }>(
      `SELECT count(*) AS rows, ${bytesSql(pair.payload)} AS bytes FROM ${quoted}`,
    );
    const counts = { rows: Number(counted.rows[0]?.rows), bytes: Number(counted.rows[0]?.bytes) };
    rows += counts.rows;
    bytes += counts.bytes;
  }
  return { rows, bytes };
}

/** Rows read and sealed to guess a rate. */
export const sampleRows = 2000;

/** Writing, verifying and the ledger take about four times what reading and sealing take (bench/). */
const wholePathFactor = 4;

/**
 * Guesses rows per second from reading and sealing 2,000 rows with a key that is thrown away: nothing is written, Vault
 * is not asked. Undefined when there are no rows.
 */
export async function sampleRate(
  client: pg.Client,
  definition: MirrorDefinition,
  side: Side,
): Promise<number | undefined> {
  const aead = new Aead(generateKeyset());
  const nothing = Buffer.from("sample");
  let rows = 0;
  const startedAt = performance.now();
  for (const pair of definition.pairs) {
    const table = quoteTable("public", side === "source" ? pair.source : pair.sink);
    const present = await client.query("SELECT WHERE to_regclass($1) IS NOT NULL", [table]);
    if (present.rowCount === 0) continue;
    const sample = await client.query<{ payload: string | Buffer }>(
      `SELECT ${quoteName(pair.payload)} AS payload FROM ${table} LIMIT ${sampleRows - rows}`,
    );
    for (const { payload } of sample.rows) aead.seal(Buffer.from(payload as string), nothing);
    rows += sample.rows.length;
    if (rows >= sampleRows) break;
  }
  if (rows === 0) return undefined;
  return rows / ((performance.now() - startedAt) / 1000) / wholePathFactor;
}

/** Disk that the other side will take, bytes: payload, seal, row and index. */
export function diskBytes({ rows, bytes }: Pick<SideSize, "rows" | "bytes">): number {
  return bytes + rows * (overheadBytes + rowOverheadBytes);
}

/** Tuple header, item pointer, key and its index entry, about. */
const rowOverheadBytes = 110;
