import type pg from "pg";
import { quoteTable } from "../postgres/identifier.ts";
import type { TableDigest } from "./manifest.ts";

/**
 * Rows and a digest of every table of the platform and the ledger: two sums of 60 bits each over the SHA-256 of every row's
 * text, so that the order of rows, which a restore does not keep, plays no part. Equal rows count as often as they are there.
 *
 * @param client inside the snapshot that is to be described
 */
export async function digestDatabase(client: pg.Client): Promise<TableDigest[]> {
  // Settings of a role or database must not change how a value reads.
  await client.query(
    "SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1; SET LOCAL intervalstyle = 'postgres'",
  );
  const digests: TableDigest[] = [];
  for (const { schema, name } of await readTables(client)) {
    const found = await client.query<{ rows: string; digest: string }>(
      `SELECT count(*) AS rows, coalesce(sum(('x' || left(hash, 15))::bit(60)::bigint), 0) || ':' ||
         coalesce(sum(('x' || substr(hash, 16, 15))::bit(60)::bigint), 0) AS digest
       FROM (SELECT encode(sha256(convert_to(each::text, 'UTF8')), 'hex') AS hash FROM ONLY ${quoteTable(schema, name)} AS each) AS hashes`,
    );
    const [row] = found.rows;
    digests.push({ table: `${schema}.${name}`, rows: Number(row?.rows), digest: row?.digest ?? "" });
  }
  return digests;
}

/** Tables that are not the same in both, in words; none when the databases are equal. */
export function digestFaults(wanted: readonly TableDigest[], seen: readonly TableDigest[]): string[] {
  const found = new Map(seen.map((each) => [each.table, each]));
  const missing = wanted.flatMap(({ table, rows, digest }) => {
    const other = found.get(table);
    if (other === undefined) return [`${table} is missing`];
    if (other.rows !== rows) return [`${table} has ${other.rows} rows, not ${rows}`];
    return other.digest === digest ? [] : [`${table} has other contents`];
  });
  const known = new Set(wanted.map(({ table }) => table));
  return [
    ...missing,
    ...seen.filter(({ table }) => !known.has(table)).map(({ table }) => `${table} is not in the backup`),
  ];
}

async function readTables(client: pg.Client): Promise<{ schema: string; name: string }[]> {
  const found = await client.query<{ schema: string; name: string }>(
    `SELECT nspname AS schema, relname AS name FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE relkind = 'r' AND nspname <> 'information_schema' AND NOT starts_with(nspname, 'pg_')
       AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
     ORDER BY nspname COLLATE "C", relname COLLATE "C"`,
  );
  return found.rows;
}
