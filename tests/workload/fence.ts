import type pg from "pg";
import { ReplyError } from "./reply-error.ts";

/** Where a tenant is served, as its own database says. */
export interface Whereabouts {
  readonly tenant: string;
  readonly release: string;
  readonly pin: string;
  readonly since: string;
}

/** The one answer that anybody may retry, for any method: nothing of the request was committed. */
export class FencedError extends ReplyError {
  readonly whereabouts: Whereabouts;

  constructor(whereabouts: Whereabouts) {
    super("fenced", `tenant ${whereabouts.tenant} is served by ${whereabouts.pin} since ${whereabouts.since}`);
    this.whereabouts = whereabouts;
  }
}

const INSUFFICIENT_PRIVILEGE = "42501";
const UNDEFINED_TABLE = "42P01";
const NO_SUCH_DATABASE = "3D000";
const FOREIGN_KEY = "23503";
const TRANSIENT = new Set([
  "40001",
  "40P01",
  "53300",
  "55P03",
  "57014",
  "57P01",
  "57P02",
  "57P03",
  "08006",
  "08001",
  "25P03",
  "25P04",
]);

/** SQLSTATE of a PostgreSQL error, undefined for anything else. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/**
 * Turns a database error into the answer of the service contract. Must be called after the rollback.
 * PostgreSQL's own message never travels: it may quote rows.
 */
export async function explain(error: unknown, tenant: string, release: string, pool: pg.Pool): Promise<unknown> {
  if (error instanceof ReplyError) return error;
  const state = sqlState(error);
  if (state === INSUFFICIENT_PRIVILEGE || state === UNDEFINED_TABLE) {
    const whereabouts = await findWhereabouts(pool);
    if (whereabouts === undefined) {
      return new ReplyError("unavailable", `tenant ${tenant} does not say which release serves it (SQLSTATE ${state})`);
    }
    // A table of the other release may be dropped or not there yet: the parser says so before privileges are looked at.
    if (state === INSUFFICIENT_PRIVILEGE || whereabouts.release !== release) return new FencedError(whereabouts);
    return new ReplyError("internal", `a table of release ${release} is missing for tenant ${tenant}`);
  }
  if (state === NO_SUCH_DATABASE) return new ReplyError("not-found", `no tenant ${tenant}`);
  if (state === FOREIGN_KEY) return new ReplyError("conflict", "the request refers to a record that does not exist");
  if (state === undefined ? isConnectionFailure(error) : TRANSIENT.has(state)) {
    return new ReplyError(
      "unavailable",
      `the database of tenant ${tenant} cannot answer now (${state ?? "no connection"})`,
    );
  }
  return error;
}

async function findWhereabouts(pool: pg.Pool): Promise<Whereabouts | undefined> {
  try {
    const { rows } = await pool.query("SELECT tenant, release, pin, since FROM rc.whereabouts LIMIT 1");
    const row = rows[0];
    return row && { tenant: row.tenant, release: row.release, pin: row.pin, since: row.since.toISOString() };
  } catch {
    return undefined;
  }
}

function isConnectionFailure(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return (
    /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_)/.test(code ?? "") ||
    /connection terminated|timeout exceeded when trying to connect|query read timeout|not queryable/i.test(
      message ?? "",
    )
  );
}
