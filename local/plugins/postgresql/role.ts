import { createHmac, pbkdf2Sync, createHash } from "node:crypto";
import { escapeIdentifier, escapeLiteral } from "pg";
import { text, texts } from "../property.ts";
import type { Values } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import { sqlState } from "./postgres-server.ts";
import type { PostgresServer } from "./postgres-server.ts";

/** Property, its keyword in CREATE ROLE, and its column of pg_roles. */
const flags = [
  ["superuser", "SUPERUSER", "rolsuper"],
  ["createDatabase", "CREATEDB", "rolcreatedb"],
  ["createRole", "CREATEROLE", "rolcreaterole"],
  ["inherit", "INHERIT", "rolinherit"],
  ["login", "LOGIN", "rolcanlogin"],
  ["replication", "REPLICATION", "rolreplication"],
  ["bypassRowLevelSecurity", "BYPASSRLS", "rolbypassrls"],
] as const;

/** A role; `connectionLimit` in connections, -1 for no limit. A deleted role's objects go to the provider's login. */
export const role: ResourceType<PostgresServer> = {
  token: "postgresql:index/role:Role",
  properties: {
    name: { kind: "string", isAutonamed: true, isFixed: true },
    login: { kind: "boolean", default: false },
    password: { kind: "string", isSecret: true },
    inherit: { kind: "boolean", default: true },
    superuser: { kind: "boolean", default: false },
    createDatabase: { kind: "boolean", default: false },
    createRole: { kind: "boolean", default: false },
    replication: { kind: "boolean", default: false },
    bypassRowLevelSecurity: { kind: "boolean", default: false },
    connectionLimit: { kind: "number", default: -1 },
    validUntil: { kind: "string", default: "infinity" },
    roles: { kind: "strings", isSet: true },
    searchPaths: { kind: "strings" },
    encryptedPassword: { kind: "boolean", default: true },
    skipDropRole: { kind: "boolean", default: false },
    skipReassignOwned: { kind: "boolean", default: false },
  },

  async create(server, inputs) {
    const name = text(inputs["name"]);
    const id = escapeIdentifier(name);
    try {
      await server.change([
        `CREATE ROLE ${id} ${options(inputs)}${passwordClause(inputs)}`,
        ...texts(inputs["roles"]).map((granted) => `GRANT ${escapeIdentifier(granted)} TO ${id}`),
        ...searchPath(id, texts(inputs["searchPaths"])),
      ]);
    } catch (error) {
      if (sqlState(error) !== "42710") throw error;
      throw new Error(
        `role "${name}" exists and is not in this stack; mend: pulumi import postgresql:index/role:Role ${name} ${name} ` +
          `(or drop it: DROP ROLE ${id})`,
      );
    }
    return { id: name };
  },

  async read(server, id, state) {
    const [found] = await server.query<Record<string, unknown>>(
      `SELECT ${flags.map(([, , column]) => column).join(", ")}, rolname, rolconnlimit, rolconfig,
              coalesce(rolvaliduntil::text, 'infinity') AS valid_until,
              ARRAY(SELECT pg_get_userbyid(roleid)::text FROM pg_auth_members WHERE member = pg_roles.oid ORDER BY 1) AS roles
         FROM pg_roles WHERE rolname = $1`,
      [id],
    );
    if (found === undefined) return undefined;
    const searchPaths = ((found["rolconfig"] ?? []) as string[]).find((entry) => entry.startsWith("search_path="));
    return {
      ...Object.fromEntries(flags.map(([name, , column]) => [name, found[column] as boolean])),
      name: id,
      connectionLimit: found["rolconnlimit"] as number,
      validUntil: found["valid_until"] as string,
      // Memberships made by a GrantRole are that resource's business, not a drift of this one.
      ...(state["roles"] === undefined
        ? {}
        : { roles: sameMembers(found["roles"] as string[], texts(state["roles"])) }),
      searchPaths: searchPaths === undefined ? undefined : splitPath(searchPaths),
      password: await currentPassword(server, id, state["password"] as string | undefined),
    };
  },

  async update(server, id, olds, news) {
    const role = escapeIdentifier(id);
    const had = texts(olds["roles"]);
    const wanted = texts(news["roles"]);
    const changesPassword = olds["password"] !== news["password"];
    await server.change([
      `ALTER ROLE ${role} ${options(news)}${changesPassword ? passwordClause(news, "PASSWORD NULL") : ""}`,
      ...had.filter((name) => !wanted.includes(name)).map((name) => `REVOKE ${escapeIdentifier(name)} FROM ${role}`),
      ...wanted.filter((name) => !had.includes(name)).map((name) => `GRANT ${escapeIdentifier(name)} TO ${role}`),
      ...searchPath(role, texts(news["searchPaths"]), texts(olds["searchPaths"]).length > 0),
    ]);
  },

  async delete(server, id, state) {
    const role = escapeIdentifier(id);
    const found = await server.query("SELECT FROM pg_roles WHERE rolname = $1", [id]);
    if (found.length === 0) return;
    const reassign = [`REASSIGN OWNED BY ${role} TO ${escapeIdentifier(server.username)}`, `DROP OWNED BY ${role}`];
    await server.change([
      ...(state["skipReassignOwned"] === true ? [] : reassign),
      ...(state["skipDropRole"] === true ? [] : [`DROP ROLE ${role}`]),
    ]);
  },
};

function options(values: Values): string {
  const switches = flags.map(([name, keyword]) => (values[name] === true ? keyword : `NO${keyword}`));
  const until = escapeLiteral(text(values["validUntil"]));
  return [...switches, `CONNECTION LIMIT ${Number(values["connectionLimit"])}`, `VALID UNTIL ${until}`].join(" ");
}

function passwordClause(values: Values, absent = ""): string {
  const password = values["password"];
  return ` ${password === undefined || password === "" ? absent : `PASSWORD ${escapeLiteral(text(password))}`}`;
}

function searchPath(role: string, paths: readonly string[], hadSome = false): string[] {
  if (paths.length > 0)
    return [`ALTER ROLE ${role} SET search_path TO ${paths.map((path) => escapeIdentifier(path)).join(", ")}`];
  return hadSome ? [`ALTER ROLE ${role} RESET search_path`] : [];
}

function splitPath(setting: string): string[] {
  return setting
    .slice("search_path=".length)
    .split(/,\s*/)
    .map((path) => path.replace(/^"(.*)"$/, "$1").replaceAll('""', '"'));
}

/** The password in state when the server still accepts it, or cannot say; an empty text when somebody changed it. */
async function currentPassword(server: PostgresServer, name: string, password?: string): Promise<string | undefined> {
  if (password === undefined || password === "" || !server.isSuperuser) return password;
  const rows = await server.query<{ rolpassword: string | null }>(
    "SELECT rolpassword FROM pg_authid WHERE rolname = $1",
    [name],
  );
  const stored = rows[0]?.rolpassword ?? "";
  if (stored === password || isScramOf(stored, password)) return password;
  const md5 = `md5${createHash("md5").update(`${password}${name}`).digest("hex")}`;
  return stored === md5 ? password : "";
}

/** RFC 5802: `SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>`. */
function isScramOf(stored: string, password: string): boolean {
  const match = /^SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):/.exec(stored);
  if (match === null) return false;
  const salted = pbkdf2Sync(
    password.normalize("NFKC"),
    Buffer.from(match[2] ?? "", "base64"),
    Number(match[1]),
    32,
    "sha256",
  );
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  return createHash("sha256").update(clientKey).digest("base64") === match[3];
}

/** The wanted order when the members agree, so that state reads as the program does. */
function sameMembers(found: string[], wanted: string[]): string[] {
  return found.length === wanted.length && wanted.every((name) => found.includes(name)) ? wanted : found;
}
