import pg from "pg";
import { explain } from "./fence.ts";
import { ReplyError } from "./reply-error.ts";
import { databaseSuffix, isTenantId } from "./tenant-id.ts";

export interface TenantDatabasesArgs {
  /** URL with `{tenant}` in the database name. */
  readonly databaseUrl: string;
  /** Release that asks: decides whether a missing table means "fenced". */
  readonly release: string;
  /** Connections per tenant, 1 to 20. @default 4 */
  readonly maxConnections?: number;
  /** @default 5000 */
  readonly statementTimeoutMs?: number;
}

/** One small pool per tenant database, and transactions whose failures speak the service contract. */
export class TenantDatabases {
  readonly #args: TenantDatabasesArgs;
  readonly #pools = new Map<string, pg.Pool>();

  constructor(args: TenantDatabasesArgs) {
    this.#args = args;
  }

  /** The tenant's pool. @throws ReplyError not-found when the name cannot be a tenant */
  pool(tenant: string): pg.Pool {
    if (!isTenantId(tenant)) throw new ReplyError("not-found", `no tenant ${tenant.slice(0, 60)}`);
    let pool = this.#pools.get(tenant);
    if (pool === undefined) {
      pool = new pg.Pool({
        connectionString: this.#args.databaseUrl.replaceAll("{tenant}", databaseSuffix(tenant)),
        max: this.#args.maxConnections ?? 4,
        statement_timeout: this.#args.statementTimeoutMs ?? 5_000,
        idle_in_transaction_session_timeout: 10_000,
        connectionTimeoutMillis: 5_000,
        idleTimeoutMillis: 5_000,
        application_name: `workload-${this.#args.release}`,
      });
      // A server that ends an idle connection is no fault of any request; without a listener it would end the process.
      pool.on("error", () => undefined);
      this.#pools.set(tenant, pool);
    }
    return pool;
  }

  /** Runs `work` on the pool, outside a transaction, with contract errors. */
  async run<T>(tenant: string, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
    const pool = this.pool(tenant);
    try {
      return await work(pool);
    } catch (error) {
      throw await explain(error, tenant, this.#args.release, pool);
    }
  }

  /** Runs `work` in one transaction; any failure rolls back first and is explained afterwards. */
  async transaction<T>(tenant: string, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return await this.run(tenant, async (pool) => {
      const client = await pool.connect();
      let broken: Error | undefined;
      const notice = (error: Error): void => void (broken = error);
      client.on("error", notice);
      try {
        await client.query("BEGIN");
        const result = await work(client);
        await client.query("COMMIT");
        return result;
      } catch (error) {
        await client.query("ROLLBACK").catch((failure: Error) => (broken = failure));
        throw error;
      } finally {
        client.off("error", notice);
        client.release(broken);
      }
    });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(async (pool) => await pool.end()));
    this.#pools.clear();
  }
}
