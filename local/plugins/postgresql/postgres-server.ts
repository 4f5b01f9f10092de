import pg from "pg";
import pLimit from "p-limit";
import { text } from "../property.ts";
import type { Values } from "../property.ts";

/** What a failed statement is retried for: another session changed the same catalog row in the same moment. */
const catalogRaces = /tuple concurrently (updated|deleted)|deadlock detected/;
const attempts = 5;

/** One PostgreSQL server under one login, as the provider's configuration names it. */
export class PostgresServer {
  readonly database: string;
  readonly username: string;
  /** Whether password hashes may be read to find a password that somebody changed. */
  readonly isSuperuser: boolean;
  readonly #config: pg.ClientConfig;
  readonly #reads: ReturnType<typeof pLimit>;
  // Catalog changes run one after another: roles and grants share catalog rows, and each takes milliseconds.
  readonly #writes = pLimit(1);

  constructor(config: Values) {
    const environment = process.env;
    this.database = text(config["database"]);
    this.username = text(config["username"]);
    this.isSuperuser = config["superuser"] !== false;
    this.#reads = pLimit(Math.max(1, Number(config["maxConnections"])));
    const sslmode = text(config["sslmode"] ?? environment["PGSSLMODE"] ?? "require");
    this.#config = {
      host: text(config["host"] ?? environment["PGHOST"] ?? "localhost"),
      port: Number(config["port"]),
      user: this.username,
      password: config["password"] === undefined ? environment["PGPASSWORD"] : text(config["password"]),
      ssl: sslmode === "disable" ? false : { rejectUnauthorized: sslmode === "verify-full" },
      connectionTimeoutMillis: Number(config["connectTimeout"]) * 1000,
      application_name: "pulumi postgresql stand-in",
    };
  }

  /** Rows of one query; `database` is the provider's own unless named. */
  async query<Row extends pg.QueryResultRow>(
    text: string,
    values: unknown[] = [],
    database = this.database,
  ): Promise<Row[]> {
    return this.#reads(async () =>
      this.#connected(database, async (client) => (await client.query<Row>(text, values)).rows),
    );
  }

  /** Runs statements in one transaction, all or none; a race over a catalog row is tried again. */
  async change(statements: readonly string[], database = this.database): Promise<void> {
    await this.#writes(async () => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          await this.#connected(database, async (client) => {
            await client.query("BEGIN");
            for (const statement of statements) await client.query(statement);
            await client.query("COMMIT");
          });
          return;
        } catch (error) {
          if (attempt === attempts || !catalogRaces.test(String(error))) throw error;
        }
      }
    });
  }

  /** One statement outside a transaction, which CREATE and DROP DATABASE insist on. */
  async command(statement: string): Promise<void> {
    await this.#writes(async () => this.#connected(this.database, async (client) => client.query(statement)));
  }

  async #connected<Result>(database: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
    const client = new pg.Client({ ...this.#config, database });
    // Without a listener an error on the idle socket would end the whole plugin.
    client.on("error", () => {});
    try {
      await client.connect();
      return await work(client);
    } catch (error) {
      throw new Error(
        `${this.#config.host}:${this.#config.port}/${database} as ${this.username}: ${(error as Error).message}`,
        {
          cause: error,
        },
      );
    } finally {
      await client.end().catch(() => {});
    }
  }
}

/** The SQLSTATE of an error that {@link PostgresServer} passed on, e.g. `42710` for an object that exists. */
export function sqlState(error: unknown): string | undefined {
  return ((error as Error).cause as { code?: string } | undefined)?.code;
}
