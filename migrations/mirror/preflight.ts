import type pg from "pg";
import { columnsOf, type MirrorDefinition, type MirrorPair } from "./definition.ts";
import { findRoleObstacles } from "./preflight-roles.ts";
import { readTableFacts, type TableFacts } from "./table-facts.ts";
import { findVectorFaults } from "../vector-store/vector-preflight.ts";

/** Something that keeps a mirror from being moved exactly; found before anything is written. */
export interface Obstacle {
  readonly tenant: string;
  /** Table, or role, that has to change. */
  readonly table: string;
  readonly reason: string;
  /** What to do about it. */
  readonly mend: string;
}

/** Largest payload that is moved, bytes: 64 MiB. */
export const payloadLimitBytes = 64 * 1024 * 1024;

/** Types whose text is canonical, so that it can be a record id and a bound of a range. */
const keyTypes = new Set([
  "uuid",
  "smallint",
  "integer",
  "bigint",
  "text",
  "character varying",
  "date",
  "timestamp with time zone",
]);

/**
 * Looks for everything that would keep the tenant's tables from being mirrored exactly. Reads only; the reader's role
 * is enough. A table that is not there (sink before the expand revision, source after the contract one) is no obstacle.
 *
 * @param releaseRoles roles of all releases that exist on the server
 */
export async function findObstacles(
  client: pg.Client,
  tenant: string,
  definition: MirrorDefinition,
  releaseRoles: readonly string[],
): Promise<Obstacle[]> {
  const found: Obstacle[] = [];
  const wished = definition.pairs.flatMap((pair) => wishesOf(definition, pair).map((wish) => ({ ...wish, pair })));
  const known = await readTableFacts(client, wished);
  for (const wish of wished) {
    const { table, pair } = wish;
    const facts = known.get(table);
    if (facts === undefined) continue;
    const faults = [...shapeFaults(facts, pair, wish), ...surroundingFaults(facts)];
    if (faults.length === 0) faults.push(...(await payloadFaults(client, facts, definition, pair, wish)));
    found.push(...faults.map(([reason, mend]) => ({ tenant, table, reason, mend })));
  }
  found.push(...(await findRoleObstacles(client, tenant, definition, releaseRoles)));
  return found;
}

/** One obstacle as a person reads it. */
export function obstacleText({ tenant, table, reason, mend }: Obstacle): string {
  return `tenant ${tenant}, ${table}: ${reason}; ${mend}`;
}

/** A reason and its mend. */
export type Fault = readonly [reason: string, mend: string];

/** What one table of a pair has to look like. */
interface Wish {
  readonly table: string;
  readonly payload: string;
  readonly typeName: string;
  readonly types: RegExp;
  /** Columns that may stand beside key and payload. */
  readonly beside: readonly string[];
  readonly keyTypes: ReadonlySet<string>;
}

function wishesOf({ collection }: MirrorDefinition, pair: MirrorPair): readonly Wish[] {
  const { source, sink, payload, version = payload } = pair;
  const plain = { payload, beside: [], keyTypes };
  if (collection === undefined) {
    return [
      { ...plain, table: source, typeName: "text", types: /^(text|character varying)$/ },
      { ...plain, table: sink, typeName: "bytea", types: /^bytea$/ },
    ];
  }
  // Milvus orders ids by their bytes, as PostgreSQL orders uuids and nothing else on every server.
  const byBytes = { ...plain, keyTypes: new Set(["uuid"]) };
  const vector = `vector(${collection.dimension})`;
  return [
    { ...byBytes, table: source, typeName: vector, types: /^(.+\.)?vector$/ },
    { ...byBytes, table: sink, payload: version, beside: ["state"], typeName: "bigint", types: /^bigint$/ },
  ];
}

function shapeFaults(facts: TableFacts, pair: MirrorPair, wish: Wish): Fault[] {
  const faults: Fault[] = [];
  if (facts.kind === "p" || facts.is_partition || facts.has_children) {
    return [
      ["is partitioned or inherits", "a mirror copies plain tables: bring the rows into one with an Alembic step"],
    ];
  }
  if (facts.kind !== "r") return [["is no table", "a mirror copies tables: replace it with an Alembic step"]];
  const keys = columnsOf(pair.key);
  const columns = new Map(facts.columns.map((column) => [column.name, column]));
  const payload = columns.get(wish.payload);
  if (facts.primary_key.length === 0) {
    faults.push(["has no primary key", `ALTER TABLE .. ADD PRIMARY KEY (${keys.join(", ")}) in an Alembic step`]);
  } else if (facts.primary_key.join() !== keys.join()) {
    faults.push([
      `its primary key is (${facts.primary_key.join(", ")}), the mirror's is (${keys.join(", ")})`,
      "let both agree with an Alembic step, or correct the mirror's definition",
    ]);
  }
  for (const key of keys) {
    const column = columns.get(key);
    if (column === undefined) faults.push([`has no column ${key}`, "correct the mirror's definition"]);
    else if (!wish.keyTypes.has(column.type)) {
      faults.push([`its key ${key} is ${column.type}`, `allowed are ${[...wish.keyTypes].join(", ")}`]);
    } else if (!column.deterministic) {
      faults.push([
        `its key ${key} has a nondeterministic collation`,
        "give it a deterministic one with an Alembic step",
      ]);
    }
  }
  const extra = facts.columns
    .filter(
      ({ name, generated }) =>
        !generated && !keys.includes(name) && name !== wish.payload && !wish.beside.includes(name),
    )
    .map((column) => column.name);
  if (payload === undefined) faults.push([`has no column ${wish.payload}`, "correct the mirror's definition"]);
  else if (extra.length > 0) {
    faults.push([
      `holds ${wish.payload} inline, beside ${extra.join(", ")}`,
      "split the column off into a table of (key, payload) with an Alembic step, then rewrite the heap (VACUUM FULL)",
    ]);
  } else if (!wish.types.test(payload.type)) {
    faults.push([`${wish.payload} is ${payload.type}`, `let it be ${wish.typeName} with an Alembic step`]);
  } else if (!payload.required) {
    faults.push([
      `${wish.payload} may be NULL`,
      `fill or delete such rows, then ALTER COLUMN ${wish.payload} SET NOT NULL`,
    ]);
  }
  const generated = facts.columns.filter((column) => column.generated).map((column) => column.name);
  if (generated.length > 0) {
    faults.push([`has generated columns ${generated.join(", ")}`, "drop the expression with an Alembic step"]);
  }
  return faults;
}

function surroundingFaults(facts: TableFacts): Fault[] {
  const faults: Fault[] = [];
  if (facts.has_rls) {
    faults.push([
      "has row-level security: rows could be hidden from the copy",
      "ALTER TABLE .. DISABLE ROW LEVEL SECURITY",
    ]);
  }
  if (facts.triggers.length > 0) {
    faults.push([
      `has triggers that are not the engine's: ${facts.triggers.join(", ")}`,
      "move them to the parent table with an Alembic step",
    ]);
  }
  if (facts.rules.length > 0) faults.push([`has rules: ${facts.rules.join(", ")}`, "DROP RULE in an Alembic step"]);
  if (facts.views.length > 0) {
    faults.push([
      `views read it and would stop working: ${facts.views.join(", ")}`,
      "drop them in the expand revision",
    ]);
  }
  if (facts.referrers.length > 0) {
    faults.push([
      `tables refer to it: ${facts.referrers.join(", ")}`,
      "let them refer to the parent table with an Alembic step",
    ]);
  }
  return faults;
}

async function payloadFaults(
  client: pg.Client,
  facts: TableFacts,
  { collection }: MirrorDefinition,
  pair: MirrorPair,
  wish: Wish,
): Promise<Fault[]> {
  if (wish.typeName === "bigint") return [];
  if (collection !== undefined) {
    const type = facts.columns.find(({ name }) => name === wish.payload)?.type ?? "";
    return findVectorFaults(client, { ...facts, key: columnsOf(pair.key)[0] ?? "", type }, collection);
  }
  const large = await client.query<{ rows: string; largest: number | null }>(
    `SELECT count(*) AS rows, max(octet_length(${facts.quoted_payload})) AS largest FROM ${facts.quoted}
     WHERE octet_length(${facts.quoted_payload}) > ${payloadLimitBytes}`,
  );
  const row = large.rows[0];
  if (row === undefined || Number(row.rows) === 0) return [];
  return [
    [
      `${row.rows} values of ${pair.payload} are larger than ${payloadLimitBytes} bytes (the largest has ${row.largest})`,
      "shorten them, or keep them in an object store",
    ],
  ];
}
