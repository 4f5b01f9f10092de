import type { RegistrySession } from "./registry-session.ts";

/**
 * `onboarding`: being made, has no route, belongs to no wave. `active`: served. `suspended`: in maintenance; keeps its
 * route and its wave, gets 503 at the gateway, and is left alone by waves until it is active again.
 */
export type TenantStatus = "active" | "suspended" | "onboarding";

/** One row of registry.tenant. */
export interface Tenant {
  readonly id: string;
  readonly region: string;
  readonly tags: readonly string[];
  readonly database: string;
  /** A tenant of a release's own, for smoke tests; in no wave. */
  readonly isProbe: boolean;
  /** Release under which it was onboarded. */
  readonly bornRelease: string;
  readonly status: TenantStatus;
  readonly createdAt: Date;
}

export interface TenantFilter {
  /** @default all regions of this registry */
  readonly region?: string;
  /** @default all tenants */
  readonly ids?: readonly string[];
  /** @default all */
  readonly statuses?: readonly TenantStatus[];
}

const columns = `id, region, tags, database, is_probe AS "isProbe", born_release AS "bornRelease", status,
  created_at AS "createdAt"`;

/** The tenants of a registry. Each method is one query, for any number of tenants. */
export class Tenants {
  readonly #session: RegistrySession;

  constructor(session: RegistrySession) {
    this.#session = session;
  }

  /** In the order of their ids. */
  list({ region, ids, statuses }: TenantFilter = {}): Promise<Tenant[]> {
    return this.#session.query<Tenant>(
      `SELECT ${columns} FROM registry.tenant
       WHERE ($1::text IS NULL OR region = $1) AND ($2::text[] IS NULL OR id = ANY ($2))
         AND ($3::text[] IS NULL OR status = ANY ($3)) ORDER BY id`,
      [region, ids, statuses],
    );
  }

  async find(id: string): Promise<Tenant | undefined> {
    return (await this.list({ ids: [id] }))[0];
  }

  /** @throws naming the tenant when the registry does not know it */
  async get(id: string): Promise<Tenant> {
    const tenant = await this.find(id);
    if (tenant === undefined)
      throw new Error(`tenant ${id} is not in the registry; coordinator status lists the tenants that are`);
    return tenant;
  }

  /** Adds tenants as `onboarding`; those that are there are left as they are. @returns ids of the added ones */
  async register(tenants: readonly Omit<Tenant, "status" | "createdAt">[]): Promise<string[]> {
    const rows = await this.#session.query<{ id: string }>(
      `INSERT INTO registry.tenant (id, region, tags, database, is_probe, born_release)
       SELECT id, region, tags, database, "isProbe", "bornRelease" FROM jsonb_to_recordset($1)
         AS t (id text, region text, tags text[], database text, "isProbe" boolean, "bornRelease" text)
       ON CONFLICT (id) DO NOTHING RETURNING id`,
      [JSON.stringify(tenants)],
    );
    return rows.map(({ id }) => id);
  }

  /** Release that an unfinished tenant is born under; active and suspended ones are left as they are. */
  async rebear(ids: readonly string[], bornRelease: string): Promise<void> {
    await this.#session.query(
      "UPDATE registry.tenant SET born_release = $2 WHERE id = ANY ($1) AND status = 'onboarding'",
      [ids, bornRelease],
    );
  }

  /**
   * Moves tenants from one status to another; the gateway is told. Others are left as they are.
   * @param ids @default all tenants of the region
   * @returns ids of the moved ones
   */
  async setStatus(
    from: TenantStatus,
    to: TenantStatus,
    { ids, region }: Omit<TenantFilter, "statuses">,
  ): Promise<string[]> {
    const rows = await this.#session.query<{ id: string }>(
      `UPDATE registry.tenant SET status = $2 WHERE status = $1 AND ($3::text[] IS NULL OR id = ANY ($3))
         AND ($4::text IS NULL OR region = $4) RETURNING id`,
      [from, to, ids, region],
    );
    return rows.map(({ id }) => id).sort();
  }
}
