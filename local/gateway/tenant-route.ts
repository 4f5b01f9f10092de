import type { Client } from "pg";

/** Where the requests of one tenant go. */
export interface TenantRoute {
  readonly tenant: string;
  /** Release whose fleet serves the tenant; undefined while it has none. */
  readonly release: string | undefined;
  /** Only `active` tenants are let through. */
  readonly status: string;
}

/** Reads all routes with one query, in the order of tenant ids. */
export async function readTenantRoutes(client: Client): Promise<TenantRoute[]> {
  const { rows } = await client.query<{ id: string; status: string; release: string | null }>(
    `SELECT t.id, t.status, r.release FROM registry.tenant t LEFT JOIN registry.route r ON r.tenant = t.id ORDER BY t.id`,
  );
  return rows.map((row) => ({ tenant: row.id, release: row.release ?? undefined, status: row.status }));
}
