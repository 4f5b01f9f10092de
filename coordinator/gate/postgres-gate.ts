import pg from "pg";
import { explainUnavailable } from "../../migrations/postgres/unavailable.ts";
import { resolveReference } from "../../migrations/reference.ts";
import type { Environment } from "../../releases/environment.ts";
import type { Outcome } from "../../releases/verdict.ts";
import { gate } from "./gate.ts";
import type { Gate } from "./gate.ts";

/** What one look at a server says about its health. */
export interface PostgresHealth {
  /** A standby takes no writes. */
  readonly isStandby: boolean;
  readonly isReadOnly: boolean;
  readonly sessions: number;
  readonly maxSessions: number;
  /** Age of the oldest transaction id that is still to be frozen; the server stops taking writes near 2 billion. */
  readonly oldestXidAge: number;
  /** How long the oldest open transaction has been open, seconds; 0 = none is. */
  readonly oldestTransactionSeconds: number;
}

/** Beyond this share of its sessions an update may find none left, percent. */
const sessionLimitPercent = 90;
/** The server's own failsafe begins at 1.6 billion (vacuum_failsafe_age). */
const xidLimit = 1_600_000_000;
/** A transaction this old keeps every cutover of its tenant waiting, seconds. */
const transactionLimitSeconds = 3600;

/** Does PostgreSQL of every region take writes, with room for an update? One query each; reads only. */
export async function postgresGate({ regions }: Environment): Promise<Gate> {
  const looks = await Promise.all(
    regions.map(async ({ name, postgres }) => {
      const url = resolveReference(postgres.url);
      try {
        return judgePostgres(name, await lookAtPostgres(url));
      } catch (error) {
        const place = {
          url,
          reference: postgres.url,
          database: URL.canParse(url) ? new URL(url).pathname.slice(1) : "postgres",
        };
        const why = explainUnavailable(error, { about: `region ${name}`, ...place });
        return { outcome: "no-go" as const, evidence: why };
      }
    }),
  );
  const outcome = (["no-go", "needs-human"] as const).find((each) => looks.some((look) => look.outcome === each));
  return gate({
    id: "postgresql",
    title: "PostgreSQL of every region takes writes and has room for an update",
    outcome: outcome ?? "go",
    evidence: looks.map(({ evidence }) => evidence).join("; "),
    canOverride: outcome === "needs-human",
  });
}

/** What a look comes to. Pure. */
export function judgePostgres(region: string, health: PostgresHealth): { outcome: Outcome; evidence: string } {
  const { isStandby, isReadOnly, sessions, maxSessions, oldestXidAge, oldestTransactionSeconds } = health;
  const no = [
    ...(isStandby ? ["is a standby: name its primary in the stack file"] : []),
    ...(isReadOnly && !isStandby ? ["is read-only (default_transaction_read_only): let it take writes again"] : []),
    ...(oldestXidAge > xidLimit ? [`has not frozen ${oldestXidAge} transaction ids: VACUUM (FREEZE) first`] : []),
  ];
  const human = [
    ...(sessions * 100 > maxSessions * sessionLimitPercent ? [`has ${sessions} of ${maxSessions} sessions taken`] : []),
    ...(oldestTransactionSeconds > transactionLimitSeconds
      ? [`has a transaction that is open for ${Math.round(oldestTransactionSeconds / 60)} min: cutovers wait for it`]
      : []),
  ];
  const faults = [...no, ...human];
  if (faults.length > 0)
    return {
      outcome: no.length > 0 ? "no-go" : "needs-human",
      evidence: `PostgreSQL of region ${region} ${faults.join(", ")}`,
    };
  return {
    outcome: "go",
    evidence: `PostgreSQL of region ${region}: primary, ${sessions} of ${maxSessions} sessions taken`,
  };
}

async function lookAtPostgres(url: string): Promise<PostgresHealth> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "rc-coordinator",
    connectionTimeoutMillis: 5000,
    query_timeout: 5000,
  });
  await client.connect();
  try {
    const { rows } = await client.query<PostgresHealth>(`
      SELECT pg_is_in_recovery() AS "isStandby",
        (SELECT reset_val = 'on' FROM pg_settings WHERE name = 'default_transaction_read_only') AS "isReadOnly",
        (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS sessions,
        current_setting('max_connections')::int AS "maxSessions",
        (SELECT max(age(datfrozenxid))::int FROM pg_database WHERE datallowconn) AS "oldestXidAge",
        coalesce((SELECT max(extract(epoch FROM clock_timestamp() - xact_start))::float8 FROM pg_stat_activity
          WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()), 0) AS "oldestTransactionSeconds"`);
    const [health] = rows;
    if (health === undefined) throw new Error("the server answered with nothing");
    return health;
  } finally {
    await client.end();
  }
}
