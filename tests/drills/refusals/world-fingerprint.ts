import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import type { WorldServers } from "./world-servers.ts";

/** Everything that a refused run must leave as it was: a name and a digest a thing. */
export type Fingerprint = ReadonlyMap<string, string>;

/** Names of what differs between two fingerprints. */
export function differences(before: Fingerprint, after: Fingerprint): string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].filter((name) => before.get(name) !== after.get(name)).sort();
}

/** Every file below some folders, and some files: Pulumi's state, history and locks, the stack file, flags, images. */
export async function filesFingerprint(root: string, paths: readonly string[]): Promise<Fingerprint> {
  const found = new Map<string, string>();
  for (const path of paths) {
    const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => undefined);
    const files =
      entries === undefined
        ? [path]
        : entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const file of files) {
      const text = await readFile(file).catch(() => "absent");
      found.set(`file ${relative(root, file)}`, digest(text));
    }
  }
  return found;
}

/** Roles, memberships, databases with their grants, and in each database of ours: catalog, privileges, sequences, rows. */
export async function postgresFingerprint(servers: WorldServers): Promise<Fingerprint> {
  const found = new Map<string, string>();
  const note = async (name: string, database: string, query: string) => {
    const rows = await servers.sql(database, query);
    found.set(name, digest(JSON.stringify(rows)));
  };
  const clusterQueries = {
    roles: "SELECT a.* FROM pg_authid AS a ORDER BY oid",
    memberships: "SELECT * FROM pg_auth_members ORDER BY roleid, member, grantor",
    databases: `SELECT datname, datdba, ${sorted("datacl")}, datallowconn FROM pg_database ORDER BY datname`,
    settings: "SELECT * FROM pg_db_role_setting ORDER BY setdatabase, setrole",
  };
  for (const [name, query] of Object.entries(clusterQueries)) await note(`PostgreSQL ${name}`, "postgres", query);
  const databases = await servers.sql(
    "postgres",
    "SELECT datname FROM pg_database WHERE datname = 'rc_registry' OR datname LIKE 'tenant%' ORDER BY 1",
  );
  await Promise.all(
    databases.map(async ({ datname }) => {
      const database = String(datname);
      for (const [name, query] of Object.entries(catalogQueries)) await note(`${database} ${name}`, database, query);
      const tables = await servers.sql(database, ownTables);
      for (const { name } of tables) {
        const rows = `SELECT md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM ${String(name)} AS t`;
        await note(`${database} rows of ${String(name)}`, database, rows);
      }
    }),
  );
  return found;
}

/** A list of privileges; taking one and giving it again changes its place and nothing else. */
function sorted(privileges: string): string {
  return `(SELECT array_agg(entry::text ORDER BY entry::text) FROM unnest(${privileges}) AS entry)`;
}

const ownSchemas = "nspname IN ('public', 'rc', 'registry')";
// What a preview remembers of its visits is written also by one that is refused, and nothing relies on it (docs/adr/0012).
const ownTables = `SELECT format('%I.%I', nspname, relname) AS name FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = relnamespace WHERE ${ownSchemas} AND relkind IN ('r', 'p')
    AND c.oid IS DISTINCT FROM to_regclass('registry.observation') ORDER BY 1`;
const catalogQueries = {
  relations: `SELECT nspname, relname, relkind, relowner, ${sorted("relacl")}, relrowsecurity, reloptions FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = relnamespace WHERE ${ownSchemas} ORDER BY 1, 2`,
  columns: `SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull, attstorage, ${sorted("attacl")}
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE ${ownSchemas} AND attnum > 0 AND NOT attisdropped ORDER BY 1, 2`,
  triggers: `SELECT tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
    WHERE NOT tgisinternal ORDER BY 1, 2`,
  constraints: `SELECT conrelid::regclass::text, conname, convalidated, pg_get_constraintdef(c.oid) FROM pg_constraint AS c
    JOIN pg_namespace AS n ON n.oid = connamespace WHERE ${ownSchemas} ORDER BY 1, 2`,
  functions: `SELECT proname, proowner, ${sorted("proacl")}, prosrc FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname IN ('rc', 'registry') ORDER BY 1`,
  schemas: `SELECT nspname, nspowner, ${sorted("nspacl")} FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' ORDER BY 1`,
  sequences: `SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2`,
};

/** Seal state, mounts, auth methods, audit devices, policies, roles and their secret ids, keys with their versions. */
export async function vaultFingerprint(servers: WorldServers, mount: string): Promise<Fingerprint> {
  const status = (await servers.vault("GET", "sys/seal-status")) as { sealed: boolean };
  const found = new Map([["Vault seal", String(status.sealed)]]);
  if (status.sealed) return found;
  const data = async (method: "GET" | "LIST", path: string) => {
    const answer = (await servers.vault(method, path)) as { data?: { keys?: string[] } } | undefined;
    return answer?.data;
  };
  const list = async (path: string) => {
    const keys = (await data("LIST", path))?.keys ?? [];
    found.set(`Vault ${path}`, keys.join(" "));
    return keys;
  };
  for (const path of ["sys/mounts", "sys/auth", "sys/audit"])
    found.set(`Vault ${path}`, digest(await data("GET", path)));
  for (const policy of await list("sys/policies/acl"))
    found.set(`Vault policy ${policy}`, digest(await data("GET", `sys/policies/acl/${policy}`)));
  for (const role of await list("auth/approle/role")) {
    found.set(`Vault role ${role}`, digest(await data("GET", `auth/approle/role/${role}`)));
    await list(`auth/approle/role/${role}/secret-id`);
  }
  for (const key of await list(`${mount}/keys`))
    found.set(`Vault key ${key}`, digest(await data("GET", `${mount}/keys/${key}`)));
  return found;
}

function digest(value: unknown): string {
  const text = typeof value === "string" || value instanceof Uint8Array ? value : (JSON.stringify(value) ?? "");
  return createHash("sha256").update(text).digest("hex");
}
