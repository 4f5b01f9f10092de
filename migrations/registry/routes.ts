import type { RegistrySession } from "./registry-session.ts";

/** Which release's fleet serves a tenant; the gateway follows this table. */
export interface Route {
  readonly tenant: string;
  readonly release: string;
  readonly pin: string;
  /** When the release or pin last changed. */
  readonly since: Date;
}

/** The routes of a registry. Each method is one query, for a whole wave. */
export class Routes {
  readonly #session: RegistrySession;

  constructor(session: RegistrySession) {
    this.#session = session;
  }

  /** In the order of the tenants' ids. @param tenants @default all */
  list(tenants?: readonly string[]): Promise<Route[]> {
    return this.#session.query<Route>(
      "SELECT tenant, release, pin, since FROM registry.route WHERE ($1::text[] IS NULL OR tenant = ANY ($1)) ORDER BY tenant",
      [tenants],
    );
  }

  /**
   * Points tenants at a release; NOTIFY rc_route for each that moves. Repeating it changes nothing, so a connection that
   * breaks is no failure: a tenant that has moved in its database must not wait for its route until the next update.
   * @returns ids of the moved ones; after a broken connection, of those that had not moved before it broke
   */
  async point(tenants: readonly string[], to: { readonly release: string; readonly pin: string }): Promise<string[]> {
    const rows = await this.#session.query<{ tenant: string }>(
      `INSERT INTO registry.route AS present (tenant, release, pin) SELECT unnest($1::text[]), $2, $3
       ON CONFLICT (tenant) DO UPDATE SET release = excluded.release, pin = excluded.pin, since = now()
       WHERE (present.release, present.pin) IS DISTINCT FROM (excluded.release, excluded.pin) RETURNING tenant`,
      [[...new Set(tenants)], to.release, to.pin],
      { isRepeatable: true },
    );
    return rows.map(({ tenant }) => tenant).sort();
  }
}
