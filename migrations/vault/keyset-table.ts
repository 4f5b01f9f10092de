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
  /** What ties the keyset to this row, see keyset-binding.ts; null in a row that was not written by `append`. */
  readonly binding: Buffer | null;
  /** What rc.keyset_head says of the class; null when it says nothing, undefined in a row that was asked for by version. */
  readonly head: { readonly version: number; readonly binding: Buffer } | null | undefined;
  /** Milliseconds since the row was added, by the clock of the database; rewrapping does not reset it. */
  readonly ageMs: number;
}

/** What is stored with a new version: the keyset, and what ties it to its row and to the head of its class. */
export interface NewKeyset {
  readonly encrypted: Buffer;
  readonly binding: Buffer;
  readonly headBinding: Buffer;
}

/**
 * One tenant's rows of `rc.keyset(tenant, class, version, encrypted, created_at, binding)`, which change by
 * compare-and-set, and of `rc.keyset_head(tenant, class, version, binding)`, which names the newest of each class: a
 * newest version that was deleted is missed.
 */
export class KeysetTable {
  readonly #client: Queryable;
  readonly #tenant: string;

  constructor(client: Queryable, tenant: string) {
    this.#client = client;
    this.#tenant = tenant;
  }

  async findNewest(cls: string): Promise<KeysetRow | undefined> {
    return (await this.#rows("AND class = $2 ORDER BY keyset.version DESC LIMIT 1", [cls]))[0];
  }

  /** The version of a class that was stored last, whether it is still there or not. */
  async findHeadVersion(cls: string): Promise<number | undefined> {
    const { rows } = await this.#client.query("SELECT version FROM rc.keyset_head WHERE tenant = $1 AND class = $2", [
      this.#tenant,
      cls,
    ]);
    return rows[0]?.["version"] as number | undefined;
  }

  async find(cls: string, version: number): Promise<KeysetRow | undefined> {
    const row = (await this.#rows("AND class = $2 AND keyset.version = $3", [cls, version]))[0];
    return row === undefined ? undefined : { ...row, head: undefined };
  }

  async all(): Promise<KeysetRow[]> {
    return this.#rows("ORDER BY class, keyset.version", []);
  }

  async hasAny(): Promise<boolean> {
    return (await this.#rows("LIMIT 1", [])).length > 0;
  }

  /**
   * Adds the version after `newestVersion` (0 = there is none), if that still is the newest.
   *
   * @returns whether it was added
   */
  async append(cls: string, newestVersion: number, keyset: NewKeyset): Promise<boolean> {
    // The primary key decides between two that pass the comparison at the same time.
    const added = await this.#client.query(
      `WITH added AS (
         INSERT INTO rc.keyset (tenant, class, version, encrypted, created_at, binding)
         SELECT $1, $2, $3::int + 1, $4, clock_timestamp(), $5
         WHERE $3::int = (SELECT coalesce(max(version), 0) FROM rc.keyset WHERE tenant = $1 AND class = $2)
         ON CONFLICT DO NOTHING RETURNING tenant, class, version)
       INSERT INTO rc.keyset_head (tenant, class, version, binding) SELECT tenant, class, version, $6 FROM added
       ON CONFLICT (tenant, class) DO UPDATE SET version = excluded.version, binding = excluded.binding`,
      [this.#tenant, cls, newestVersion, keyset.encrypted, keyset.binding, keyset.headBinding],
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
      `SELECT class, keyset.version, keyset.encrypted, keyset.binding, head.version AS head_version, head.binding AS head_binding,
         extract(epoch FROM clock_timestamp() - keyset.created_at) * 1000 AS age_ms
       FROM rc.keyset AS keyset LEFT JOIN rc.keyset_head AS head
         USING (tenant, class) WHERE tenant = $1 ${condition}`,
      [this.#tenant, ...values],
    );
    return rows.map((row) => ({
      cls: row["class"] as string,
      version: row["version"] as number,
      encrypted: row["encrypted"] as Buffer,
      binding: row["binding"] as Buffer | null,
      head:
        row["head_version"] === null
          ? null
          : { version: row["head_version"] as number, binding: row["head_binding"] as Buffer },
      ageMs: Number(row["age_ms"]),
    }));
  }
}
