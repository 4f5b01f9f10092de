import { escapeIdentifier } from "pg";
import { text } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import type { PostgresServer } from "./postgres-server.ts";

/** An extension in one database; one that is there already is adopted, as by the official plugin. */
export const extension: ResourceType<PostgresServer> = {
  token: "postgresql:index/extension:Extension",
  properties: {
    name: { kind: "string", isAutonamed: true, isReplacing: true },
    database: { kind: "string", isComputed: true, isReplacing: true },
    schema: { kind: "string", isComputed: true },
    version: { kind: "string", isComputed: true },
    createCascade: { kind: "boolean", default: false },
    dropCascade: { kind: "boolean", default: false },
  },

  async create(server, inputs) {
    const name = text(inputs["name"]);
    const database = text(inputs["database"] ?? server.database);
    const clauses = [
      ...(inputs["schema"] === undefined ? [] : [`SCHEMA ${escapeIdentifier(text(inputs["schema"]))}`]),
      ...(inputs["version"] === undefined ? [] : [`VERSION ${escapeIdentifier(text(inputs["version"]))}`]),
      ...(inputs["createCascade"] === true ? ["CASCADE"] : []),
    ];
    await server.change([`CREATE EXTENSION IF NOT EXISTS ${escapeIdentifier(name)} ${clauses.join(" ")}`], database);
    return { id: `${database}.${name}`, outputs: { database } };
  },

  async read(server, id, state) {
    const [database = "", name = ""] =
      state["name"] === undefined ? id.split(".") : [state["database"], state["name"]].map(text);
    const databases = await server.query("SELECT FROM pg_database WHERE datname = $1", [database]);
    if (databases.length === 0) return undefined;
    const [found] = await server.query<{ schema: string; version: string }>(
      `SELECT nspname::text AS schema, extversion AS version
         FROM pg_extension JOIN pg_namespace ON extnamespace = pg_namespace.oid WHERE extname = $1`,
      [name],
      database,
    );
    return found === undefined ? undefined : { ...found, name, database };
  },

  async update(server, _, olds, news) {
    const name = escapeIdentifier(text(news["name"]));
    const statements: string[] = [];
    if (olds["schema"] !== news["schema"]) {
      statements.push(`ALTER EXTENSION ${name} SET SCHEMA ${escapeIdentifier(text(news["schema"]))}`);
    }
    if (olds["version"] !== news["version"]) {
      statements.push(`ALTER EXTENSION ${name} UPDATE TO ${escapeIdentifier(text(news["version"]))}`);
    }
    if (statements.length > 0) await server.change(statements, text(news["database"]));
  },

  async delete(server, _, state) {
    const database = text(state["database"]);
    const databases = await server.query("SELECT FROM pg_database WHERE datname = $1", [database]);
    if (databases.length === 0) return;
    const mode = state["dropCascade"] === true ? "CASCADE" : "RESTRICT";
    await server.change([`DROP EXTENSION IF EXISTS ${escapeIdentifier(text(state["name"]))} ${mode}`], database);
  },
};
