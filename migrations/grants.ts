import type pg from "pg";
import { authorityOf, type Position } from "./ledger/position.ts";
import type { MirrorDefinition } from "./mirror/definition.ts";
import { inTransaction } from "./postgres/transaction.ts";
import { quoteName, quoteTable } from "./postgres/identifier.ts";

/** Who may use a tenant's tables. */
export interface GrantRequest {
  readonly release: { readonly role: string };
  /** Roles of every release; those of the database that may write anything are fenced as well. */
  readonly allReleaseRoles: readonly string[];
  readonly positions: Readonly<Record<string, Position>>;
  readonly mirrors: readonly MirrorDefinition[];
}

/**
 * Gives one release's role SELECT, INSERT, UPDATE and DELETE on the tenant's tables - all except `alembic_version` and
 * the inactive side of each mirror, and the keysets (SELECT) when a mirror stands on its sink - and takes everything,
 * SELECT too, from every other role. That is the fence: the old release gets 42501. Idempotent.
 *
 * @param client session whose role owns the tables; used in its open transaction if one is, else in one of its own
 */
export async function grantRelease(client: pg.Client, request: GrantRequest): Promise<void> {
  const sql = await planGrants(client, request);
  if (client.getTransactionStatus() === "T") await client.query(sql);
  else await inTransaction(client, () => client.query(sql));
}

/** The statements of `grantRelease`, to be run later: a cutover reads the catalog before it locks anything. */
export async function planGrants(client: pg.Client, request: GrantRequest): Promise<string> {
  const tables = await readTables(client);
  const fenced = await findFencedRoles(client, request);
  const inactive = new Set(request.mirrors.flatMap((mirror) => inactiveTables(mirror, request.positions[mirror.name])));
  const usable = tables.filter((table) => table !== "alembic_version" && !inactive.has(table));
  const role = quoteName(request.release.role);
  const all = tables.map((table) => quoteTable("public", table)).join(", ");
  const readsKeysets = request.mirrors.some(
    (mirror) => authorityOf(request.positions[mirror.name] ?? "off") === "sink",
  );
  const statements = [
    ...(tables.length === 0 ? [] : [`REVOKE ALL ON ${all} FROM ${[...fenced, role].join(", ")}`]),
    `REVOKE ALL ON rc.keyset, rc.keyset_head FROM ${[...fenced, role].join(", ")}`,
    `REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM ${[...fenced, role].join(", ")}`,
    `GRANT USAGE ON SCHEMA public, rc TO ${role}`,
    `GRANT SELECT ON rc.whereabouts TO PUBLIC`,
    `GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ${role}`,
    ...(usable.length === 0
      ? []
      : [
          `GRANT SELECT, INSERT, UPDATE, DELETE ON ${usable.map((table) => quoteTable("public", table)).join(", ")} TO ${role}`,
        ]),
    ...(readsKeysets ? [`GRANT SELECT ON rc.keyset, rc.keyset_head TO ${role}`] : []),
  ];
  return statements.join(";\n");
}

/** Tables of the side that services must not use in this position. */
function inactiveTables(mirror: MirrorDefinition, position: Position | undefined): string[] {
  const isOnSink = authorityOf(position ?? "off") === "sink";
  return mirror.pairs.map((pair) => (isOnSink ? pair.source : pair.sink));
}

async function readTables(client: pg.Client): Promise<string[]> {
  const found = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
       AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e') ORDER BY relname`,
  );
  return found.rows.map((row) => row.name);
}

/** Quoted roles to be fenced: other releases', PUBLIC, and whoever else may write a table or read the keysets. */
async function findFencedRoles(client: pg.Client, request: GrantRequest): Promise<string[]> {
  const found = await client.query<{ name: string }>(
    `SELECT rolname AS name FROM pg_roles WHERE rolname = ANY($1)
     UNION
     SELECT pg_get_userbyid(acl.grantee) FROM pg_class, aclexplode(relacl) AS acl
     WHERE acl.grantee <> 0 AND acl.grantee <> relowner AND (
       relnamespace = 'public'::regnamespace AND acl.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
       OR pg_class.oid = 'rc.keyset'::regclass AND acl.privilege_type = 'SELECT')`,
    [request.allReleaseRoles],
  );
  const names = found.rows.map((row) => row.name).filter((name) => name !== request.release.role);
  return [...names.map(quoteName), "PUBLIC"];
}
