import type pg from "pg";
import type { MirrorDefinition } from "./definition.ts";
import type { Obstacle } from "./preflight.ts";

/**
 * Roles that a fence could not hold: whoever owns a table, is a superuser, bypasses row security or is a member of the
 * owner still reads and writes after every REVOKE; so does who is a member of another release's role, of a role that may
 * use all data, or may make itself one.
 */
export async function findRoleObstacles(
  client: pg.Client,
  tenant: string,
  definition: MirrorDefinition,
  releaseRoles: readonly string[],
): Promise<Obstacle[]> {
  const leaves = definition.pairs.flatMap((pair) => [pair.source, pair.sink]);
  const found = await client.query<{
    role: string;
    super: boolean;
    bypass: boolean;
    grants: boolean;
    through: string[];
    owned: string[];
    owner: string | null;
  }>(
    `SELECT rolname AS role, rolsuper AS super, rolbypassrls AS bypass, rolcreaterole AS grants,
       ARRAY(SELECT other.rolname::text FROM pg_roles AS other WHERE other.oid <> r.oid
             AND (other.rolname = ANY($1) OR other.rolname IN ('pg_read_all_data', 'pg_write_all_data'))
             AND pg_has_role(r.oid, other.oid, 'MEMBER') ORDER BY 1) AS through,
       ARRAY(SELECT relname::text FROM pg_class WHERE relowner = r.oid AND relkind IN ('r', 'p')
             AND relnamespace = 'public'::regnamespace ORDER BY 1) AS owned,
       (SELECT min(pg_get_userbyid(relowner)) FROM pg_class WHERE relnamespace = 'public'::regnamespace
          AND relname = ANY($2) AND relowner <> r.oid AND pg_has_role(r.oid, relowner, 'MEMBER')) AS owner
     FROM pg_roles AS r WHERE rolname = ANY($1) ORDER BY 1`,
    [releaseRoles, leaves],
  );
  return found.rows.flatMap(({ role, super: isSuperuser, bypass, grants, through, owned, owner }) => {
    const faults: [string, string][] = [];
    if (isSuperuser)
      faults.push(["is a superuser: no privilege can be taken from it", `ALTER ROLE ${role} NOSUPERUSER`]);
    else {
      if (bypass) faults.push(["bypasses row-level security", `ALTER ROLE ${role} NOBYPASSRLS`]);
      if (grants) faults.push(["may give itself other roles (CREATEROLE)", `ALTER ROLE ${role} NOCREATEROLE`]);
      for (const other of through)
        faults.push([`is a member of ${other}, whose privileges a fence leaves`, `REVOKE ${other} FROM ${role}`]);
      if (owned.length > 0) faults.push([`owns ${owned.join(", ")}`, "ALTER TABLE .. OWNER TO rc_migrator for each"]);
      if (owner !== null) faults.push([`is a member of ${owner}, who owns the tables`, `REVOKE ${owner} FROM ${role}`]);
    }
    return faults.map(([reason, mend]) => ({ tenant, table: `role ${role}`, reason, mend }));
  });
}
