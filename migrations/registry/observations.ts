import type { RegistrySession } from "./registry-session.ts";

/** What is known of a tenant's database before it is visited. */
export interface Standing {
  /**
   * Digest of all that a census depends on, read before a visit: as long as it is the same and nobody is in the database,
   * what the visit found is still true.
   */
  readonly evidence: string;
  /** What a visit with the same evidence found; absent when there was none, it is a day old, or a session is there now. */
  readonly census?: unknown;
}

/** A census as it is kept. */
export interface Observation {
  readonly tenant: string;
  readonly evidence: string;
  /** Plain JSON. */
  readonly census: unknown;
}

/**
 * What visits to tenants' databases found, kept so that the next preview need not repeat them. Nothing that changes data
 * relies on it.
 */
export class Observations {
  readonly #session: RegistrySession;

  constructor(session: RegistrySession) {
    this.#session = session;
  }

  /**
   * Where these tenants stand, by id. Empty on a server that does not count every change where it can be read: PostgreSQL
   * before 15, a standby, `track_counts` off.
   *
   * The order of the two statements is the proof (docs/adr/0012): a session tells its counts before it leaves
   * pg_stat_activity, so what was committed in a database where nobody is seen is in the counters that are read after it.
   *
   * @param question digest of what the census asks: release, roles, mirrors, program
   * @param releaseRoles whose attributes and memberships a census judges
   */
  async standings(
    tenants: readonly string[],
    question: string,
    releaseRoles: readonly string[],
  ): Promise<ReadonlyMap<string, Standing>> {
    const visited = await this.#session.query<{ datid: string }>(
      "SELECT DISTINCT datid::text AS datid FROM pg_stat_activity WHERE datid IS NOT NULL",
    );
    const rows = await this.#session.query<{ tenant: string; evidence: string; census: unknown }>(
      `WITH RECURSIVE membership AS (
         SELECT member, roleid FROM pg_auth_members JOIN pg_roles AS r ON r.oid = member WHERE rolname = ANY ($4)
         UNION SELECT m.member, m.roleid FROM pg_auth_members AS m JOIN membership ON m.member = membership.roleid),
       server AS (SELECT encode(sha256(convert_to(concat_ws(' ', $2::text, extract(epoch FROM pg_postmaster_start_time()),
           (SELECT extract(epoch FROM stats_reset) FROM pg_stat_bgwriter),
           (SELECT string_agg(concat_ws(' ', oid, rolname, rolsuper, rolbypassrls, rolcreaterole), ',' ORDER BY oid)
              FROM pg_roles WHERE rolname = ANY ($4)),
           (SELECT string_agg(membership::text, ',' ORDER BY member, roleid) FROM membership)), 'UTF8')), 'hex') AS digest
         WHERE current_setting('server_version_num')::integer >= 150000 AND NOT pg_is_in_recovery()
           AND current_setting('track_counts')::boolean
           AND NOT EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE starts_with(setting, 'track_counts='))),
       standing AS (SELECT datid, datname, concat_ws(' ', digest, datid, extract(epoch FROM stats_reset), tup_inserted,
           tup_updated, tup_deleted) AS evidence FROM server, pg_stat_database)
       SELECT id AS tenant, standing.evidence, census FROM registry.tenant
       JOIN standing ON datname = database
       LEFT JOIN registry.observation AS known ON known.tenant = id AND known.evidence = standing.evidence
         AND as_of > now() - interval '1 day' AND standing.datid <> ALL ($3::oid[])
       WHERE id = ANY ($1)`,
      [tenants, question, visited.map(({ datid }) => datid), releaseRoles],
    );
    return new Map(
      rows.map(({ tenant, evidence, census }) => [tenant, { evidence, ...(census === null ? {} : { census }) }]),
    );
  }

  /** Keeps what visits have found, in place of what was kept of these tenants. */
  async record(observations: readonly Observation[]): Promise<void> {
    await this.#session.query(
      `INSERT INTO registry.observation AS known (tenant, evidence, census)
       SELECT tenant, evidence, census FROM jsonb_to_recordset($1) AS t (tenant text, evidence text, census jsonb)
       WHERE EXISTS (SELECT FROM registry.tenant WHERE id = t.tenant) ORDER BY tenant
       ON CONFLICT (tenant) DO UPDATE SET evidence = excluded.evidence, census = excluded.census, as_of = now()`,
      [JSON.stringify(observations)],
    );
  }
}
