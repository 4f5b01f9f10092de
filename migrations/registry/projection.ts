import type { Position } from "../ledger/position.ts";
import type { RegistrySession } from "./registry-session.ts";
import type { Tenant } from "./tenants.ts";

/** What the registry last heard of one mirror of one tenant. The truth is the ledger in the tenant's own database. */
export interface TenantState {
  readonly tenant: string;
  readonly mirror: string;
  readonly position: Position;
  readonly epoch: number;
  readonly rows: number;
  readonly bytes: number;
  /** Keys captured and not yet drained. */
  readonly dirty: number;
  /** Measured rows per second of the last copy or drain; undefined before one was measured. */
  readonly rateRowsPerS?: number;
  /** When the ledger said so. */
  readonly asOf: Date;
}

/** A tenant with its route and what is known of its mirrors. */
export interface TenantOverview extends Tenant {
  /** Release that serves it; undefined while it is being onboarded. */
  readonly release?: string;
  readonly pin?: string;
  readonly states: readonly TenantState[];
}

type StateRow = Omit<TenantState, "rateRowsPerS"> & { rateRowsPerS: number | null };

const columns = `tenant, mirror, position, epoch::float8 AS epoch, rows::float8 AS rows, bytes::float8 AS bytes,
  dirty::float8 AS dirty, rate_rows_per_s AS "rateRowsPerS", as_of AS "asOf"`;

/** The registry's copy of all ledgers. Each method is one query, for a whole wave or region. */
export class Projection {
  readonly #session: RegistrySession;

  constructor(session: RegistrySession) {
    this.#session = session;
  }

  /** In the order of tenant and mirror. @param tenants @default all */
  async list(tenants?: readonly string[]): Promise<TenantState[]> {
    const rows = await this.#session.query<StateRow>(
      `SELECT ${columns} FROM registry.tenant_state WHERE ($1::text[] IS NULL OR tenant = ANY ($1))
       ORDER BY tenant, mirror`,
      [tenants],
    );
    return rows.map(parse);
  }

  /** Tenants with route and states: what status, diff and selectors need of a region. */
  async overview(region?: string): Promise<TenantOverview[]> {
    const rows = await this.#session.query<Tenant & { release: string | null; pin: string | null; states: StateRow[] }>(
      `SELECT id, region, tags, database, is_probe AS "isProbe", born_release AS "bornRelease", status,
         created_at AS "createdAt", release, pin, coalesce(states, '[]') AS states
       FROM registry.tenant LEFT JOIN registry.route ON route.tenant = id
       LEFT JOIN (SELECT tenant, jsonb_agg(to_jsonb(s) ORDER BY mirror) AS states
         FROM (SELECT ${columns} FROM registry.tenant_state) AS s GROUP BY tenant) AS known ON known.tenant = id
       WHERE ($1::text IS NULL OR region = $1) ORDER BY id`,
      [region],
    );
    return rows.map(({ release, pin, states, ...tenant }) => ({
      ...tenant,
      ...(release === null ? {} : { release }),
      ...(pin === null ? {} : { pin }),
      // Times come as text out of JSON.
      states: states.map((state) => parse({ ...state, asOf: new Date(state.asOf) })),
    }));
  }

  /**
   * Takes over what ledgers said. A report that is older than what is known, by epoch and then by time, changes
   * nothing: keeper and engine may report in any order.
   * @returns how many were newer
   */
  async record(states: readonly (Omit<TenantState, "epoch"> & { readonly epoch: number | bigint })[]): Promise<number> {
    const newest = new Map<string, (typeof states)[number]>();
    for (const state of states) {
      const key = `${state.tenant} ${state.mirror}`;
      const other = newest.get(key);
      if (other === undefined || isNewer(state, other)) newest.set(key, state);
    }
    const rows = await this.#session.query(
      `INSERT INTO registry.tenant_state AS known
         (tenant, mirror, position, epoch, rows, bytes, dirty, rate_rows_per_s, as_of)
       SELECT tenant, mirror, position, epoch, rows, bytes, dirty, "rateRowsPerS", "asOf" FROM jsonb_to_recordset($1)
         AS t (tenant text, mirror text, position text, epoch bigint, rows bigint, bytes bigint, dirty bigint,
           "rateRowsPerS" float8, "asOf" timestamptz)
       ORDER BY tenant, mirror
       ON CONFLICT (tenant, mirror) DO UPDATE SET position = excluded.position, epoch = excluded.epoch,
         rows = excluded.rows, bytes = excluded.bytes, dirty = excluded.dirty, as_of = excluded.as_of,
         rate_rows_per_s = coalesce(excluded.rate_rows_per_s, known.rate_rows_per_s)
       WHERE (excluded.epoch, excluded.as_of) >= (known.epoch, known.as_of) RETURNING 1`,
      [JSON.stringify([...newest.values()].map((state) => ({ ...state, epoch: Number(state.epoch) })))],
      { isRepeatable: true },
    );
    return rows.length;
  }
}

type Told = { readonly epoch: number | bigint; readonly asOf: Date };
const isNewer = (a: Told, b: Told) => a.epoch > b.epoch || (a.epoch === b.epoch && a.asOf >= b.asOf);

function parse({ rateRowsPerS, ...row }: StateRow): TenantState {
  return { ...row, ...(rateRowsPerS === null ? {} : { rateRowsPerS }) };
}
