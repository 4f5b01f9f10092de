import pg from "pg";

const queries = {
  columns: `
    SELECT c.relname AS relation, c.relkind, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum) AS place, a.attname,
      format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull, a.attstorage, a.attcompression, a.attidentity,
      a.attgenerated, pg_get_expr(d.adbin, d.adrelid) AS value, c.relpersistence, c.reloptions,
      pg_get_userbyid(c.relowner) AS owner
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1, 3`,
  constraints: `
    SELECT conrelid::regclass::text AS relation, conname, contype, convalidated, condeferrable,
      pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2`,
  indexes: `SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2`,
  triggers: `
    SELECT tgrelid::regclass::text AS relation, pg_get_triggerdef(oid) AS definition
    FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2`,
  privileges: `
    SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1`,
  routines: `
    SELECT proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = p.oid AND deptype = 'e') ORDER BY 1`,
};

/** Everything of schema `public` that a migration could leave different: one text, comparable and readable in a diff. */
export async function readCatalog(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const lines: string[] = [];
    for (const [name, query] of Object.entries(queries))
      for (const row of (await client.query(query)).rows) lines.push(`${name} ${JSON.stringify(row)}`);
    return lines;
  } finally {
    await client.end();
  }
}
