import pRetry from "p-retry";
import pg from "pg";
import { keepAliveInitialDelayMillis } from "../postgres/connect.ts";
import { stateOf, withoutRows } from "../postgres/errors.ts";
import { findServerMend, isBrokenConnection } from "../postgres/server-fault.ts";
import { databaseUrl } from "../schema/database-url.ts";

/** Database that holds the registry in every region. */
export const registryDatabase = "rc_registry";

/** URL of a region's registry, from the URL of its server. */
export const registryUrl = (postgresUrl: string): string => databaseUrl(postgresUrl, registryDatabase);

/** What the queries of the registry run on: a pool, or the one connection of a transaction. */
export interface RegistrySession {
  /** Rows of one statement. @throws with the mend, without rows of the database */
  query<Row extends pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
    options?: StatementOptions,
  ): Promise<Row[]>;
}

export interface StatementOptions {
  /**
   * Doing it twice is as good as doing it once, so that it is repeated for ten seconds when its connection breaks,
   * whether the server had carried it out or not. Has no effect inside a transaction. @default false
   */
  readonly isRepeatable?: boolean;
}

/** How long a repeatable statement is tried, milliseconds: a server restarts in less. */
const patienceMs = 10_000;

/** A pool of sessions on one registry; connects at the first query. */
export class RegistryPool implements RegistrySession {
  readonly #pool: pg.Pool;

  /** @param url login whose role is switched to rc_migrator, or to rc_reader when only reading */
  constructor(url: string, { isReadOnly = false }: { readonly isReadOnly?: boolean } = {}) {
    const database = decodeURIComponent(new URL(url).pathname.slice(1)) || registryDatabase;
    const role = isReadOnly ? "rc_reader" : "rc_migrator";
    this.#pool = new pg.Pool({
      connectionString: databaseUrl(url, database, { role, isReadOnly, lockTimeoutMs: 10_000 }),
      application_name: "rc-registry",
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
      keepAliveInitialDelayMillis,
      max: 4,
      // A process must be able to end without closing us.
      allowExitOnIdle: true,
    });
    // An idle session that the server ends is replaced at the next query.
    this.#pool.on("error", () => undefined);
  }

  async query<Row extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
    { isRepeatable = false }: StatementOptions = {},
  ): Promise<Row[]> {
    if (!isRepeatable) return run<Row>(this.#pool, text, values);
    return pRetry(() => run<Row>(this.#pool, text, values), {
      retries: Infinity,
      minTimeout: 50,
      maxTimeout: 1000,
      randomize: true,
      maxRetryTime: patienceMs,
      shouldRetry: ({ error }) => isBrokenConnection(error.cause),
    });
  }

  /** Runs `work` between BEGIN and COMMIT on one connection; rolled back when it throws. */
  async transaction<T>(work: (session: RegistrySession) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw explain(error);
    });
    let broken = false;
    try {
      await client.query("BEGIN");
      const result = await work({ query: (text, values = []) => run(client, text, values) });
      await client.query("COMMIT");
      return result;
    } catch (error) {
      await client.query("ROLLBACK").catch(() => (broken = true));
      throw explain(error);
    } finally {
      client.release(broken);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}

async function run<Row extends pg.QueryResultRow>(
  on: pg.Pool | pg.PoolClient,
  text: string,
  values: readonly unknown[],
): Promise<Row[]> {
  try {
    return (await on.query<Row>(text, [...values])).rows;
  } catch (error) {
    throw explain(error);
  }
}

/** Database absent, schema absent, table absent, column absent. */
const absent = new Set(["3D000", "3F000", "42P01", "42703"]);

function explain(error: unknown): Error {
  const plain = withoutRows(error);
  if (isBrokenConnection(plain))
    return new Error(`registry: ${plain.message}; ${findServerMend(plain)}, then run the update again`, {
      cause: plain,
    });
  if (!absent.has(stateOf(plain) ?? "") || plain.message.startsWith("registry:")) return plain;
  return new Error(`registry: ${plain.message}; it is made and brought up to date by: pulumi up`, { cause: plain });
}
