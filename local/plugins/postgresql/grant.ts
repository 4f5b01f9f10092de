import { escapeIdentifier } from "pg";
import { text, texts } from "../property.ts";
import type { Value, Values } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import type { PostgresServer } from "./postgres-server.ts";

/** Privileges of each kind of object, and how to ask the catalog who holds them on which object. */
const objectTypes: Record<string, { privileges: readonly string[]; acl: string }> = {
  database: {
    privileges: ["CREATE", "CONNECT", "TEMPORARY"],
    acl: "SELECT datname::text AS object, datacl AS acl FROM pg_database WHERE datname = $2 AND $3::text IS NOT NULL",
  },
  schema: {
    privileges: ["CREATE", "USAGE"],
    acl: "SELECT nspname::text AS object, nspacl AS acl FROM pg_namespace WHERE $2::text IS NOT NULL AND nspname = $3",
  },
  table: {
    privileges: ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"],
    acl: relations("r"),
  },
  sequence: { privileges: ["USAGE", "SELECT", "UPDATE"], acl: relations("S") },
  function: {
    privileges: ["EXECUTE"],
    acl: `SELECT proname::text AS object, proacl AS acl FROM pg_proc JOIN pg_namespace ON pronamespace = pg_namespace.oid
           WHERE $2::text IS NOT NULL AND nspname = $3`,
  },
};

/** Privileges of one role on a database, a schema, or objects of a schema (all of one kind that exist now, unless named). */
export const grant: ResourceType<PostgresServer> = {
  token: "postgresql:index/grant:Grant",
  isDeletedBeforeReplaced: true,
  properties: {
    role: { kind: "string", isRequired: true, isReplacing: true },
    database: { kind: "string", isRequired: true, isReplacing: true },
    schema: { kind: "string", isReplacing: true },
    objectType: { kind: "string", isRequired: true, isReplacing: true, refuse: refuseObjectType },
    objects: { kind: "strings", isReplacing: true, isSet: true },
    privileges: { kind: "strings", isRequired: true, isSet: true },
    withGrantOption: { kind: "boolean", isReplacing: true, default: false },
  },

  refuse(inputs) {
    const type = text(inputs["objectType"]);
    const found: [string, string][] = [];
    if (type !== "database" && isAbsent(inputs["schema"]))
      found.push(["schema", `"schema" is missing and required for ${type}`]);
    if ((type === "database" || type === "schema") && texts(inputs["objects"]).length > 0) {
      found.push(["objects", `"objects" must be left out for ${type}`]);
    }
    const allowed = ["ALL", ...(objectTypes[type]?.privileges ?? [])];
    for (const privilege of texts(inputs["privileges"]).filter((name) => !allowed.includes(name))) {
      found.push(["privileges", `"privileges" holds "${privilege}", but for ${type} may hold ${allowed.join(", ")}`]);
    }
    return found;
  },

  async create(server, inputs) {
    await server.change([revoke(inputs), ...give(inputs)], text(inputs["database"]));
    const type = text(inputs["objectType"]);
    const parts = [inputs["role"], inputs["database"], ...(type === "database" ? [] : [inputs["schema"]]), type];
    return { id: [...parts.map(text), ...texts(inputs["objects"])].join("_") };
  },

  async read(server, id, state) {
    if (state["role"] === undefined)
      throw new Error(`a Grant cannot be imported ("${id}"), as with the official plugin`);
    const database = text(state["database"]);
    const type = text(state["objectType"]);
    const [present] = await server.query<{ ok: boolean }>(
      "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AND EXISTS (SELECT FROM pg_database WHERE datname = $2) AS ok",
      [state["role"], database],
    );
    if (present?.ok !== true) return undefined;
    const rows = await server.query<{ object: string; privileges: string[] }>(
      `SELECT object, ARRAY(SELECT privilege_type FROM aclexplode(acl) WHERE pg_get_userbyid(grantee) = $1) AS privileges
         FROM (${objectTypes[type]?.acl ?? ""}) objects`,
      [state["role"], database, text(state["schema"] ?? "")],
      database,
    );
    const objects = texts(state["objects"]);
    const wanted = texts(state["privileges"]);
    // As in the official plugin, the first object that differs stands for all: its privileges show as drift.
    const drifted = rows
      .filter(({ object }) => objects.length === 0 || objects.includes(object))
      .find(({ privileges }) => !isGranted(type, privileges, wanted));
    return { privileges: drifted?.privileges ?? wanted };
  },

  async update(server, _, __, news) {
    // Revoked and given in one transaction, so that the role never goes without.
    await server.change([revoke(news), ...give(news)], text(news["database"]));
  },

  async delete(server, _, state) {
    const present = await server.query<{ ok: boolean }>(
      "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AND EXISTS (SELECT FROM pg_database WHERE datname = $2) AS ok",
      [state["role"], state["database"]],
    );
    if (present[0]?.ok === true) await server.change([revoke(state)], text(state["database"]));
  },
};

function relations(kind: string): string {
  return `SELECT relname::text AS object, relacl AS acl FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid
           WHERE relkind = '${kind}' AND $2::text IS NOT NULL AND nspname = $3`;
}

function give(values: Values): string[] {
  const privileges = texts(values["privileges"]);
  if (privileges.length === 0) return [];
  const option = values["withGrantOption"] === true ? " WITH GRANT OPTION" : "";
  return [`GRANT ${privileges.join(", ")} ON ${target(values)} TO ${escapeIdentifier(text(values["role"]))}${option}`];
}

function revoke(values: Values): string {
  return `REVOKE ALL PRIVILEGES ON ${target(values)} FROM ${escapeIdentifier(text(values["role"]))}`;
}

function target(values: Values): string {
  const type = text(values["objectType"]);
  const schema = escapeIdentifier(text(values["schema"] ?? ""));
  if (type === "database") return `DATABASE ${escapeIdentifier(text(values["database"]))}`;
  if (type === "schema") return `SCHEMA ${schema}`;
  const objects = texts(values["objects"]);
  if (objects.length === 0) return `ALL ${type.toUpperCase()}S IN SCHEMA ${schema}`;
  return `${type.toUpperCase()} ${objects.map((name) => `${schema}.${escapeIdentifier(name)}`).join(", ")}`;
}

function isGranted(type: string, found: readonly string[], wanted: readonly string[]): boolean {
  if (!wanted.includes("ALL")) return isSameSet(found, wanted);
  // PostgreSQL before 17 has no MAINTAIN.
  return (objectTypes[type]?.privileges ?? []).every((name) => name === "MAINTAIN" || found.includes(name));
}

function refuseObjectType(value: Value): string | undefined {
  const served = Object.keys(objectTypes);
  return served.includes(text(value)) ? undefined : `is "${text(value)}", but the stand-in serves ${served.join(", ")}`;
}

function isAbsent(value: Value): boolean {
  return value === undefined || value === "";
}

function isSameSet(left: readonly string[], right: readonly string[]): boolean {
  return new Set(left).size === new Set(right).size && left.every((entry) => right.includes(entry));
}
