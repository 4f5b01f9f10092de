import type pg from "pg";
import { quoteLiteral, quoteName, quoteTable } from "../postgres/identifier.ts";
import type { Lane } from "./pair-shape.ts";

/** Memory of one build, MiB: with less than the graph takes, PostgreSQL builds it many times slower. */
const buildMemoryMib = 256;

/**
 * Drops the index by which the source is searched, when the source is filled from nothing: row by row into an index takes
 * several times as long as an index of all rows at once. Idempotent.
 */
export async function dropSearchIndex(client: pg.Client, lane: Lane): Promise<void> {
  const { sourceIndex } = lane.pair;
  if (sourceIndex === undefined || lane.fromSide === "source") return;
  await client.query(`DROP INDEX IF EXISTS ${quoteTable("public", sourceIndex.name)}`);
}

/**
 * Builds the index by which the source is searched, unless it is there and valid. Without it a release on the source would
 * read every row for every search. Nobody else uses the table: it is not the authoritative side.
 *
 * @returns whether there was something to do
 */
export async function ensureSearchIndex(client: pg.Client, lane: Lane): Promise<boolean> {
  const { sourceIndex } = lane.pair;
  if (sourceIndex === undefined || lane.fromSide === "source") return false;
  const name = quoteTable("public", sourceIndex.name);
  const found = await client.query<{ valid: boolean | null; operators: string | null }>(
    `SELECT (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1) AND indrelid = to_regclass($2)) AS valid,
       (SELECT format('%I.%I', nspname, opcname) FROM pg_opclass AS c JOIN pg_namespace AS n ON n.oid = opcnamespace
        JOIN pg_am AS a ON a.oid = opcmethod WHERE opcname = $3 AND amname = $4) AS operators`,
    [name, lane.to.quoted, sourceIndex.operators, sourceIndex.method],
  );
  const { valid, operators } = found.rows[0] ?? {};
  if (valid === true) return false;
  if (operators === null || operators === undefined)
    throw new Error(
      `index ${sourceIndex.name} of ${lane.to.name}: this server knows no ${sourceIndex.method} with ${sourceIndex.operators}; update the extension vector, then run the update again`,
    );
  if (valid === false) await client.query(`DROP INDEX ${name}`);
  await client.query(
    `SET LOCAL maintenance_work_mem = ${quoteLiteral(`${buildMemoryMib}MB`)};
     CREATE INDEX ${quoteName(sourceIndex.name)} ON ${lane.to.quoted}
       USING ${quoteName(sourceIndex.method)} (${lane.to.payload} ${operators})`,
  );
  return true;
}
