import type pg from "pg";
import { connect } from "../postgres/connect.ts";
import { stateOf } from "../postgres/errors.ts";
import { quoteName } from "../postgres/identifier.ts";
import { inTransaction } from "../postgres/transaction.ts";

/** Role that owns every tenant database and all in it. */
export const migrationRole = "rc_migrator";

/** Database of a server's login URL: where one connects to create others. */
const maintenanceDatabase = (url: string): string => decodeURIComponent(new URL(url).pathname.slice(1)) || "postgres";

/** A session of the operator's login on its own database. */
export const connectOperator = (url: string): Promise<pg.Client> =>
  connect({ url, database: maintenanceDatabase(url), applicationName: "rc-onboarding" });

/** Owners of those of these databases that exist; one query. */
export async function findOwners(operator: pg.Client, databases: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await operator.query<{ datname: string; owner: string }>(
    "SELECT datname, pg_get_userbyid(datdba) AS owner FROM pg_database WHERE datname = ANY ($1)",
    [databases],
  );
  return new Map(rows.map(({ datname, owner }) => [datname, owner]));
}

/**
 * An empty tenant database, owned by rc_migrator, that nobody but it, the reader and the releases may enter, with the
 * extension vector. Idempotent: goes on where a killed run stopped.
 * @param url login that may create databases and extensions
 * @param releaseRoles may connect; what they may see is decided by `grantRelease`
 * @throws when a database of that name belongs to somebody else, or the server lacks pgvector
 */
export async function ensureTenantDatabase(
  url: string,
  database: string,
  releaseRoles: readonly string[],
): Promise<void> {
  const operator = await connectOperator(url);
  try {
    const owner = (await findOwners(operator, [database])).get(database);
    if (owner !== undefined && owner !== migrationRole)
      throw new Error(
        `database ${database} belongs to ${owner}, allowed is ${migrationRole}; drop or rename it: ` +
          `ALTER DATABASE ${quoteName(database)} RENAME TO ...`,
      );
    if (owner === undefined) await create(operator, database);
  } finally {
    await operator.end();
  }
  const inside = await connect({ url, database, applicationName: "rc-onboarding" });
  try {
    await inTransaction(inside, () => inside.query(furnishing(database, releaseRoles)), { lockTimeoutMs: 5000 });
  } catch (error) {
    if (stateOf(error) !== "0A000" && stateOf(error) !== "58P01") throw error;
    throw new Error(`${(error as Error).message}; install pgvector on the server, then: pulumi up`, { cause: error });
  } finally {
    await inside.end();
  }
}

async function create(operator: pg.Client, database: string): Promise<void> {
  try {
    // template0: whatever somebody has put into template1 must not become part of a tenant.
    await operator.query(
      `CREATE DATABASE ${quoteName(database)} OWNER ${migrationRole} TEMPLATE template0 ENCODING 'UTF8'`,
    );
  } catch (error) {
    if (stateOf(error) !== "42P04") throw error;
  }
}

function furnishing(database: string, releaseRoles: readonly string[]): string {
  const name = quoteName(database);
  const visitors = ["rc_reader", ...releaseRoles].map(quoteName).join(", ");
  return [
    "CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public",
    `REVOKE ALL ON DATABASE ${name} FROM PUBLIC`,
    `GRANT CONNECT ON DATABASE ${name} TO ${visitors}`,
    `ALTER DEFAULT PRIVILEGES FOR ROLE ${migrationRole} IN SCHEMA public GRANT SELECT ON TABLES TO rc_reader`,
  ].join(";\n");
}
