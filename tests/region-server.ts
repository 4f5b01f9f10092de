import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { findFreePort } from "../local/servers/free-port.ts";
import { startPostgres, stopPostgres, type PostgresArgs } from "../local/servers/postgres.ts";
import { createRoles, databaseUrl } from "./servers.ts";

/** A PostgreSQL of its own beside the one of the test run: a second region. It dies with this process. */
export class RegionServer {
  /** Superuser URL, database `postgres`. */
  readonly url: string;
  readonly #folder: string;
  readonly #args: PostgresArgs;

  private constructor(folder: string, args: PostgresArgs, url: string) {
    this.#folder = folder;
    this.#args = args;
    this.url = url;
  }

  /**
   * Starts it with the roles of `createRoles` and an empty database `rc_registry`.
   * @param isEmpty leaves both to the program. @default false
   */
  static async start({ isEmpty = false }: { readonly isEmpty?: boolean } = {}): Promise<RegionServer> {
    const folder = await mkdtemp(join(tmpdir(), "release-coordinator-region-"));
    await chmod(folder, 0o711); // PostgreSQL's account must get through to its data
    const args = {
      homeFolder: join(folder, "home"),
      dataFolder: join(folder, "data"),
      port: await findFreePort(),
      maxConnections: 100,
      isDurable: false,
      isTiedToParent: true,
    };
    try {
      const { url } = await startPostgres(args);
      const server = new RegionServer(folder, args, url);
      if (isEmpty) return server;
      await createRoles(url);
      await server.query("postgres", "CREATE DATABASE rc_registry OWNER rc_migrator");
      return server;
    } catch (error) {
      await stopPostgres(args);
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** One statement as superuser. */
  async query<Row extends pg.QueryResultRow>(database: string, text: string): Promise<Row[]> {
    const client = new pg.Client({ connectionString: databaseUrl(database, this.url) });
    await client.connect();
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end();
    }
  }

  /** The region is lost; its data stays until `restart`. */
  async stop(): Promise<void> {
    await stopPostgres(this.#args);
  }

  async restart(): Promise<void> {
    await startPostgres(this.#args);
  }

  async end(): Promise<void> {
    await stopPostgres(this.#args);
    await rm(this.#folder, { recursive: true, force: true });
  }
}
