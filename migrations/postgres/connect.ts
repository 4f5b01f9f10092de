import pg from "pg";
import { withoutRows } from "./errors.ts";

/** How one session of the engine is opened. */
export interface ConnectOptions {
  /** URL of the server with a login; its database is replaced by `database`. */
  readonly url: string;
  readonly database: string;
  /** Role taken on with `SET ROLE` at start; undefined keeps the login's own. */
  readonly role?: string;
  /** Shown in pg_stat_activity: how a person recognises what holds a lock. */
  readonly applicationName: string;
  /** Longest wait for an answer, milliseconds; for sessions that ask small questions. @default none */
  readonly answerTimeoutMs?: number;
  /** Nothing can be written in this session, whatever the role may. @default false */
  readonly isReadOnly?: boolean;
}

/**
 * A session that waits for an answer asks after this silence, in milliseconds, whether the other machine is still there; Node
 * then gives it ten seconds. Most systems ask after two hours.
 */
export const keepAliveInitialDelayMillis = 15_000;

/** Sessions of the engine carry this prefix; takeover and lock reports recognise their own by it. */
export const engineApplicationPrefix = "rc-mirror";

/**
 * A direct session (never through a pooler: the engine keeps advisory locks in it). Names resolve in pg_catalog only,
 * texts are UTC, ISO and UTF-8, so that key texts read the same in every session. Timeouts that a database sets for its
 * users do not hold for it: a copy waits for itself and takes its time.
 *
 * @throws {PostgresError} the server refuses; without rows, see `withoutRows`
 */
export async function connect(options: ConnectOptions): Promise<pg.Client> {
  const url = new URL(options.url);
  url.pathname = `/${encodeURIComponent(options.database)}`;
  const settings = [
    ...(options.role === undefined ? [] : [`-c role=${options.role}`]),
    "-c search_path=pg_catalog",
    "-c timezone=UTC",
    "-c datestyle=ISO",
    "-c client_encoding=UTF8",
    "-c statement_timeout=0",
    "-c idle_in_transaction_session_timeout=60000",
    // A machine that is gone says no goodbye: its session, and the tenant's lock with it, ends after half a minute
    // instead of the two hours of most systems.
    "-c tcp_keepalives_idle=15",
    "-c tcp_keepalives_interval=5",
    "-c tcp_keepalives_count=3",
    ...(options.isReadOnly === true ? ["-c default_transaction_read_only=on"] : []),
  ];
  const client = new pg.Client({
    connectionString: url.href,
    options: settings.join(" "),
    application_name: options.applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis,
    connectionTimeoutMillis: 10_000,
    ...(options.answerTimeoutMs === undefined ? {} : { query_timeout: options.answerTimeoutMs }),
  });
  // A terminated backend reports here as well as in the query under way; without a listener it would end the process.
  client.on("error", () => {});
  try {
    await client.connect();
    // Not among the options above: servers before 17 do not know one of them and would refuse the session.
    await client.query(
      `SELECT set_config(name, '0', false) FROM unnest(ARRAY['transaction_timeout', 'idle_session_timeout']) AS name
       WHERE current_setting(name, true) IS NOT NULL`,
    );
  } catch (error) {
    await client.end().catch(() => {});
    throw withoutRows(error);
  }
  return client;
}
