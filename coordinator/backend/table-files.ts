import pg from "pg";
import type { BackendFiles } from "./backend-files.ts";

/** Table that Pulumi uses unless the URL names another one. */
const defaultTable = "pulumi_state";

/** A `postgres://` backend: one row a file, its bytes in base64 inside of JSON, as Pulumi writes them. */
export async function openTable(url: string): Promise<BackendFiles> {
  const parsed = new URL(url);
  const table = parsed.searchParams.get("table") ?? defaultTable;
  parsed.searchParams.delete("table");
  const pool = new pg.Pool({
    connectionString: parsed.href,
    application_name: "rc-coordinator",
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 15_000,
    max: 2,
    allowExitOnIdle: true,
  });
  // An idle session that the server ends is replaced at the next query.
  pool.on("error", () => undefined);
  // Pulumi takes the path of any backend URL for a folder, and here the path is the database's name.
  return new TableFiles(pool, pg.escapeIdentifier(table), `${parsed.pathname.replace(/^\/+|\/+$/g, "")}/`);
}

class TableFiles implements BackendFiles {
  readonly #pool: pg.Pool;
  readonly #table: string;
  readonly #folder: string;

  constructor(pool: pg.Pool, table: string, folder: string) {
    this.#pool = pool;
    this.#table = table;
    this.#folder = folder;
  }

  async list(prefix: string): Promise<string[]> {
    const { rows } = await this.#pool.query<{ key: string }>(
      `SELECT key FROM ${this.#table} WHERE starts_with(key, $1) ORDER BY key COLLATE "C"`,
      [this.#folder + prefix],
    );
    return rows.map(({ key }) => key.slice(this.#folder.length));
  }

  async read(key: string): Promise<string | undefined> {
    const { rows } = await this.#pool.query<{ data: string | null }>(
      `SELECT data ->> 'data' AS data FROM ${this.#table} WHERE key = $1`,
      [this.#folder + key],
    );
    const [row] = rows;
    return row && Buffer.from(row.data ?? "", "base64").toString("utf8");
  }

  async create(key: string, text: string): Promise<boolean> {
    const data = JSON.stringify({ data: Buffer.from(text).toString("base64") });
    const { rowCount } = await this.#pool.query(
      `INSERT INTO ${this.#table} (key, data) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`,
      [this.#folder + key, data],
    );
    return rowCount === 1;
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
