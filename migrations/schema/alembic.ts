import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";

/** One tenant database for Alembic. */
export interface SchemaDatabase {
  /** Name used in results, e.g. `tenant_acme`. */
  readonly database: string;
  /** Login whose role switch to rc_migrator Alembic makes itself; the path names the database. */
  readonly url: string;
}

/** What happened to one database. `refused` is a rule (data would be lost), `failed` a fault. */
export interface SchemaResult {
  readonly database: string;
  readonly status: "done" | "refused" | "failed";
  /** Revision before; null for a database that Alembic has never seen. */
  readonly from?: string | null;
  /** Revision after; beyond the one asked for when the database was beyond it already. */
  readonly to?: string | null;
  /** Thing, value seen, allowed, mend. Never a credential, never a row. */
  readonly reason?: string;
  readonly sqlstate?: string;
  readonly attempts?: number;
  readonly seconds?: number;
}

export interface SchemaOptions {
  /** Databases at the same time, 1 to 32. @default 4 */
  readonly concurrency?: number;
  /** Longest wait for a lock, during which readers queue behind us; milliseconds. @default 250 */
  readonly lockTimeoutMs?: number;
  /** Tries per database when a lock is busy or the server is starting. @default 40 */
  readonly attempts?: number;
  /** After this time Python is ended; its open transaction rolls back; milliseconds. @default 600000 */
  readonly deadlineMs?: number;
  /** Ends Python early. */
  readonly signal?: AbortSignal;
}

const script = join(import.meta.dirname, "..", "alembic", "run.py");

/**
 * Brings databases up to `revision` (`0001`, ...) with one Python process, one transaction per revision. Idempotent:
 * a database that is there or beyond is left alone. One result per database, in the given order.
 * @throws when the request itself is wrong or RC_PYTHON is missing; never for a fault of single databases
 */
export const upgradeTo = (databases: readonly SchemaDatabase[], revision: string, options: SchemaOptions = {}) =>
  migrate("upgrade", databases, revision, options);

/**
 * Takes databases back to `revision`, or to `base`. Revisions refuse to drop tables that hold data or that the ledger
 * says are needed. Otherwise as `upgradeTo`.
 */
export const downgradeTo = (databases: readonly SchemaDatabase[], revision: string, options: SchemaOptions = {}) =>
  migrate("downgrade", databases, revision, options);

async function migrate(
  direction: "upgrade" | "downgrade",
  databases: readonly SchemaDatabase[],
  revision: string,
  { concurrency = 4, lockTimeoutMs = 250, attempts = 40, deadlineMs = 600_000, signal }: SchemaOptions,
): Promise<SchemaResult[]> {
  if (databases.length === 0) return [];
  const python = process.env["RC_PYTHON"];
  if (!python)
    throw new Error("RC_PYTHON is not set; it must name a Python with alembic and psycopg; run: source .local/env");
  const request = { direction, revision, databases, concurrency, lockTimeoutMs, attempts };
  const ended = await execa(python, [script], {
    // Credentials go through the pipe; PG* variables of this process must not change where Python connects.
    input: JSON.stringify(request),
    extendEnv: false,
    env: { PATH: process.env["PATH"] ?? "", LANG: "C.UTF-8" },
    lines: true,
    reject: false,
    timeout: deadlineMs,
    forceKillAfterDelay: 2000,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  if (ended.exitCode === 2) throw new Error(`alembic refuses the request: ${ended.stderr.join(" ")}`);
  // A process that was killed may have left half a line.
  const told = new Map(ended.stdout.flatMap(parseLine).map((result) => [result.database, result]));
  const why = ended.timedOut
    ? `it took longer than ${deadlineMs} ms`
    : ended.isCanceled
      ? "it was cancelled"
      : (ended.signal ?? ended.code ?? `exit code ${String(ended.exitCode)}: ${ended.stderr.slice(-1).join("")}`);
  return databases.map(
    ({ database }) =>
      told.get(database) ?? {
        database,
        status: "failed",
        reason: `${database}: alembic ended before it reported (${why}); nothing is half done, run: pulumi up`,
      },
  );
}

function parseLine(line: string): SchemaResult[] {
  try {
    return [JSON.parse(line) as SchemaResult];
  } catch {
    return [];
  }
}

/** Revision a database is at; undefined when Alembic has never run there. @throws when it cannot be reached */
export async function currentRevision(url: string): Promise<string | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    const { rows } = await client.query<{ version_num: string }>("SELECT version_num FROM public.alembic_version");
    return rows[0]?.version_num;
  } catch (error) {
    if ((error as { code?: string }).code === "42P01") return undefined;
    throw error;
  } finally {
    await client.end();
  }
}
