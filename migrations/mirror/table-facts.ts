import type pg from "pg";
import { captureTriggers } from "./capture.ts";
import { keyGuard } from "./reference.ts";

/** What the catalog says of a table that a mirror would copy, and of what stands around it. */
export interface TableFacts {
  /** Quoted and qualified. */
  readonly quoted: string;
  readonly quoted_payload: string | null;
  /** `relkind`: `r` is a plain table. */
  readonly kind: string;
  readonly is_partition: boolean;
  readonly has_children: boolean;
  readonly has_rls: boolean;
  readonly columns: readonly {
    readonly name: string;
    readonly type: string;
    readonly required: boolean;
    readonly generated: boolean;
    readonly deterministic: boolean;
  }[];
  readonly primary_key: readonly string[];
  /** Triggers that are not the engine's own. */
  readonly triggers: readonly string[];
  readonly rules: readonly string[];
  readonly views: readonly string[];
  /** Tables with a foreign key to it. */
  readonly referrers: readonly string[];
}

/**
 * Facts of all these tables of schema public in one query: in a fresh session the server takes longer to plan it than to
 * run it. Tables that do not exist are absent.
 */
export async function readTableFacts(
  client: pg.Client,
  tables: readonly { readonly table: string; readonly payload: string }[],
): Promise<ReadonlyMap<string, TableFacts>> {
  const found = await client.query<TableFacts & { readonly name: string }>(
    `SELECT relname::text AS name, format('%I.%I', 'public', relname) AS quoted, format('%I', payload) AS quoted_payload,
       relkind AS kind, relispartition AS is_partition, relrowsecurity AS has_rls,
       EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid OR inhrelid = c.oid) AS has_children,
       (SELECT jsonb_agg(jsonb_build_object('name', attname, 'type', format_type(atttypid, NULL), 'required', attnotnull,
          'generated', attgenerated <> '',
          'deterministic', coalesce((SELECT collisdeterministic FROM pg_collation AS l WHERE l.oid = attcollation), true)))
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS columns,
       ARRAY(SELECT attname::text FROM pg_index AS i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, nth)
          JOIN pg_attribute AS a ON a.attnum = k.attnum
          WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid ORDER BY nth) AS primary_key,
       ARRAY(SELECT tgname::text FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal AND tgname <> ALL($3)) AS triggers,
       ARRAY(SELECT rulename::text FROM pg_rewrite WHERE ev_class = c.oid) AS rules,
       ARRAY(SELECT DISTINCT r.ev_class::regclass::text FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
          WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
            AND r.ev_class <> c.oid) AS views,
       ARRAY(SELECT conrelid::regclass::text FROM pg_constraint WHERE confrelid = c.oid AND contype = 'f') AS referrers
     FROM unnest($1::text[], $2::text[]) AS wish(name, payload) JOIN pg_class AS c ON relname = wish.name
     WHERE relnamespace = 'public'::regnamespace`,
    [tables.map(({ table }) => table), tables.map(({ payload }) => payload), [...captureTriggers, keyGuard]],
  );
  return new Map(found.rows.map(({ name, ...facts }) => [name, facts]));
}
