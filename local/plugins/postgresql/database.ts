import { escapeIdentifier, escapeLiteral } from "pg";
import { text } from "../property.ts";
import type { Values } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import { sqlState } from "./postgres-server.ts";
import type { PostgresServer } from "./postgres-server.ts";

/** A database; `connectionLimit` in connections, -1 for no limit. Deleting it ends its sessions. */
export const database: ResourceType<PostgresServer> = {
  token: "postgresql:index/database:Database",
  properties: {
    name: { kind: "string", isAutonamed: true, isFixed: true },
    owner: { kind: "string", isComputed: true },
    template: { kind: "string", isComputed: true, isReplacing: true },
    encoding: { kind: "string", isComputed: true, isReplacing: true },
    lcCollate: { kind: "string", isComputed: true, isReplacing: true },
    lcCtype: { kind: "string", isComputed: true, isReplacing: true },
    connectionLimit: { kind: "number", default: -1 },
    allowConnections: { kind: "boolean", default: true },
    isTemplate: { kind: "boolean", isComputed: true },
    tablespaceName: { kind: "string", isOutput: true },
    alterObjectOwnership: {
      kind: "boolean",
      default: false,
      refuse: (value) => (value === false ? undefined : "is true, but the stand-in leaves the objects' owners alone"),
    },
  },

  async create(server, inputs) {
    const name = text(inputs["name"]);
    const clauses = [
      `OWNER ${escapeIdentifier(text(inputs["owner"] ?? server.username))}`,
      `TEMPLATE ${escapeIdentifier(text(inputs["template"] ?? "template0"))}`,
      `ENCODING ${escapeLiteral(text(inputs["encoding"] ?? "UTF8"))}`,
      ...(inputs["lcCollate"] === undefined ? [] : [`LC_COLLATE ${escapeLiteral(text(inputs["lcCollate"]))}`]),
      ...(inputs["lcCtype"] === undefined ? [] : [`LC_CTYPE ${escapeLiteral(text(inputs["lcCtype"]))}`]),
      settings(inputs),
    ];
    try {
      await server.command(`CREATE DATABASE ${escapeIdentifier(name)} ${clauses.join(" ")}`);
    } catch (error) {
      if (sqlState(error) !== "42P04") throw error;
      throw new Error(
        `database "${name}" exists and is not in this stack; ` +
          `mend: pulumi import postgresql:index/database:Database ${name} ${name}`,
      );
    }
    return { id: name };
  },

  async read(server, id, state) {
    const [found] = await server.query<Values>(
      `SELECT pg_get_userbyid(datdba)::text AS owner, pg_encoding_to_char(encoding) AS encoding, datcollate AS "lcCollate",
              datctype AS "lcCtype", spcname::text AS "tablespaceName", datconnlimit AS "connectionLimit",
              datallowconn AS "allowConnections", datistemplate AS "isTemplate"
         FROM pg_database JOIN pg_tablespace ON dattablespace = pg_tablespace.oid WHERE datname = $1`,
      [id],
    );
    return found === undefined ? undefined : { ...found, name: id, template: state["template"] ?? "template0" };
  },

  async update(server, id, olds, news) {
    const name = escapeIdentifier(id);
    await server.command(`ALTER DATABASE ${name} WITH ${settings(news)}`);
    if (olds["owner"] !== news["owner"]) {
      await server.command(`ALTER DATABASE ${name} OWNER TO ${escapeIdentifier(text(news["owner"]))}`);
    }
  },

  async delete(server, id, state) {
    if (state["isTemplate"] === true)
      await server.command(`ALTER DATABASE ${escapeIdentifier(id)} WITH IS_TEMPLATE false`);
    await server.command(`DROP DATABASE IF EXISTS ${escapeIdentifier(id)} WITH (FORCE)`);
  },
};

function settings(values: Values): string {
  return (
    `ALLOW_CONNECTIONS ${values["allowConnections"] !== false} CONNECTION LIMIT ${Number(values["connectionLimit"])} ` +
    `IS_TEMPLATE ${values["isTemplate"] === true}`
  );
}
