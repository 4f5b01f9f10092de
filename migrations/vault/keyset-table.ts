/** The part of a pg client or pool that is used here. */
export interface Queryable {
  query(text: string, values: unknown[]): Promise<{ rows: Record<string, unknown>[]; rowCount: number | null }>;
}

/** One row of rc.keyset. */
export interface KeysetRow {
  readonly cls: string;
  /** 1 and up; the newest is in force. */
  readonly version: number;
  /** EncryptedKeyset in binary. */
  readonly encrypted: Buffer;
  /** Milliseconds since the row was added, by the clock of the database; rewrapping does not reset it. */
  readonly ageMs: number;
}

/** One tenant's rows of `rc.keyset(tenant, class, version, encrypted, created_at)`, which change by compare-and-set. */
export class KeysetTable {
  readonly #client: Queryable;
  readonly #tenant: string;

  constructor(client: Queryable, tenant: string) {
    this.#client = client;
    this.#tenant = tenant;
  }

  async findNewest(cls: string): Promise<KeysetRow | undefined> {
    return (await this.#rows("AND class = $2 ORDER BY version DESC LIMIT 1", [cls]))[0];
  }

  async find(cls: string, version: number): Promise<KeysetRow | undefined> {
    return (await this.#rows("AND class = $2 AND version = $3", [cls, version]))[0];
  }

  async all(): Promise<KeysetRow[]> {
    return this.#rows("ORDER BY class, version", []);
  }

  async hasAny(): Promise<boolean> {
    return (await this.#rows("LIMIT 1", [])).length > 0;
  }

  /**
   * Adds the version after `newestVersion` (0 = there is none), if that still is the newest.
   *
   * @returns whether it was added
   */
  async append(cls: string, newestVersion: number, encrypted: Buffer): Promise<boolean> {
    // The primary key decides between two that pass the comparison at the same time.
    const added = await this.#client.query(
      `INSERT INTO rc.keyset (tenant, class, version, encrypted, created_at)
       SELECT $1, $2, $3::int + 1, $4, clock_timestamp()
       WHERE $3::int = (SELECT coalesce(max(version), 0) FROM rc.keyset WHERE tenant = $1 AND class = $2)
       ON CONFLICT DO NOTHING`,
      [this.#tenant, cls, newestVersion, encrypted],
    );
    return added.rowCount === 1;
  }

  /**
   * Puts other bytes into a row that still is as it was read.
   *
   * @returns whether they were put there
   */
  async replace(row: KeysetRow, encrypted: Buffer): Promise<boolean> {
    const replaced = await this.#client.query(
      `UPDATE rc.keyset SET encrypted = $5 WHERE tenant = $1 AND class = $2 AND version = $3 AND encrypted = $4`,
      [this.#tenant, row.cls, row.version, row.encrypted, encrypted],
    );
    return replaced.rowCount === 1;
  }

  async #rows(condition: string, values: readonly unknown[]): Promise<KeysetRow[]> {
    const { rows } = await this.#client.query(
      `SELECT class, version, encrypted, extract(epoch FROM clock_timestamp() - created_at) * 1000 AS age_ms
       FROM rc.keyset WHERE tenant = $1 ${condition}`,
      [this.#tenant, ...values],
    );
    return rows.map((row) => ({
      cls: row["class"] as string,
      version: row["version"] as number,
      encrypted: row["encrypted"] as Buffer,
      ageMs: Number(row["age_ms"]),
    }));
  }
}
