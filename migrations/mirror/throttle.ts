import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";

/** Replicas may be this far behind before the load waits for them, seconds. */
export const replicaLagLimitSeconds = 10;
/** A small write may take this long at the 99th percentile before the load slows down, milliseconds. */
export const probeLimitMs = 100;
/** Longest wait before one chunk for what may last for hours, milliseconds: the load slows down to about a fifth. */
export const slowMs = 2_000;

/** What a throttle looks at. */
export interface ThrottleOptions {
  /** Session with the login's own role. */
  readonly operator: Pick<pg.Client, "query">;
  /** Quoted tables of the users, whose vacuum a load must not hold up. */
  readonly tables: readonly string[];
  /** See `Probe`. */
  readonly probe: { readonly p99Ms: number | undefined };
  /** @throws {DeadlineError} */
  readonly checkDeadline: () => void;
  /** Told what is waited for. @default nobody */
  readonly onWait?: (reason: string) => void;
  /** Waits so many milliseconds; a chunk that is let through asks for none. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

/**
 * Waits before a chunk while the server has too much to do: for replicas that are behind until they have caught up, while
 * autovacuum is at work on a table of the users or small writes take long no more than two seconds, since either may last
 * longer than the update. What a login may not see counts as nothing: the one of a managed server often sees neither
 * replicas nor other sessions' vacuum.
 *
 * @throws {DeadlineError}
 */
export async function throttle(options: ThrottleOptions): Promise<void> {
  const { pause = sleep } = options;
  for (let waitedMs = 0; ; waitedMs += lookEveryMs) {
    options.checkDeadline();
    const pressure = await findPressure(options);
    if (pressure === undefined || (pressure.isBounded && waitedMs >= slowMs)) return;
    options.onWait?.(pressure.reason);
    await pause(lookEveryMs);
  }
}

/** Between two looks, milliseconds. */
const lookEveryMs = 500;

interface Pressure {
  readonly reason: string;
  /** Whether it may last so long that the load goes on, slowly. */
  readonly isBounded: boolean;
}

async function findPressure({ operator, tables, probe }: ThrottleOptions): Promise<Pressure | undefined> {
  const found = await operator.query<{ seconds: string | null; vacuumed: string | null }>(
    `SELECT (SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication) AS seconds,
       (SELECT min(relid::regclass::text) FROM pg_stat_progress_vacuum AS progress
        JOIN pg_stat_activity AS activity USING (pid)
        WHERE activity.backend_type = 'autovacuum worker' AND progress.datname = current_database()
          AND progress.relid = ANY(SELECT to_regclass(quoted) FROM unnest($1::text[]) AS quoted)) AS vacuumed`,
    [tables],
  );
  const { seconds = null, vacuumed = null } = found.rows[0] ?? {};
  const lagSeconds = Number(seconds ?? 0);
  if (lagSeconds >= replicaLagLimitSeconds)
    return { reason: `a replica that is ${Math.round(lagSeconds)} s behind`, isBounded: false };
  if (vacuumed !== null) return { reason: `autovacuum, which is at work on ${vacuumed}`, isBounded: true };
  const { p99Ms } = probe;
  if (p99Ms !== undefined && p99Ms > probeLimitMs)
    return { reason: `small writes, which take ${Math.round(p99Ms)} ms at the 99th percentile`, isBounded: true };
  return undefined;
}
