import { text } from "../property.ts";
import type { Plugin } from "../resource-type.ts";
import { PostgresServer } from "./postgres-server.ts";
import { database } from "./database.ts";
import { extension } from "./extension.ts";
import { grant } from "./grant.ts";
import { grantRole } from "./grant-role.ts";
import { role } from "./role.ts";

/** Stand-in of the official `postgresql` plugin. Times in seconds. */
export const plugin: Plugin<PostgresServer> = {
  name: "postgresql",
  config: {
    host: { kind: "string" },
    port: { kind: "number", default: 5432 },
    database: { kind: "string", default: "postgres" },
    username: { kind: "string", default: "postgres" },
    password: { kind: "string", isSecret: true },
    sslmode: {
      kind: "string",
      refuse: (mode) =>
        ["disable", "require", "verify-full"].includes(text(mode))
          ? undefined
          : `is "${text(mode)}", but the stand-in knows disable, require and verify-full`,
    },
    scheme: {
      kind: "string",
      refuse: (scheme) =>
        scheme === "postgres" ? undefined : `is "${text(scheme)}", but the stand-in knows postgres only`,
    },
    connectTimeout: { kind: "number", default: 180 },
    maxConnections: { kind: "number", default: 20 },
    superuser: { kind: "boolean", default: true },
    expectedVersion: { kind: "string" },
  },
  connect: (config) => new PostgresServer(config),
  resources: [role, database, grant, grantRole, extension],
};
