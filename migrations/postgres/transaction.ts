import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { sqlState, stateOf, withoutRows } from "./errors.ts";

/** How often and how long a transaction may be repeated. */
export interface RetryOptions {
  /** Tries in all, the first included. @default 20 */
  readonly tries?: number;
  /** Longest wait for any lock, milliseconds; everybody behind us in the queue waits as long. @default 100 */
  readonly lockTimeoutMs?: number;
  /** SQLSTATEs after which the same transaction may succeed. @default lock timeout, deadlock, serialization failure */
  readonly retryOn?: readonly string[];
  /** Called before each repetition, e.g. to see who is in the way. */
  readonly onRetry?: (error: Error) => Promise<void>;
}

/** What passes by waiting. */
export const passingStates: readonly string[] = [
  sqlState.lockNotAvailable,
  sqlState.deadlockDetected,
  sqlState.serializationFailure,
];

/**
 * Runs `work` between BEGIN and COMMIT, again after passing errors with a jittered wait. The lock timeout stays under
 * deadlock_timeout (1 s), so that a deadlock with a user's transaction ends ours and never theirs.
 *
 * @throws {Error} of `work`, without rows
 */
export async function inTransaction<T>(
  client: pg.Client,
  work: (client: pg.Client) => Promise<T>,
  options: RetryOptions = {},
): Promise<T> {
  const tries = options.tries ?? 20;
  for (let nth = 1; ; nth += 1) {
    try {
      await client.query(`BEGIN; SET LOCAL lock_timeout = ${options.lockTimeoutMs ?? 100}`);
      const result = await work(client);
      await client.query("COMMIT");
      return result;
    } catch (error) {
      await client.query("ROLLBACK").catch(() => {});
      const state = stateOf(error);
      const mayPass = state !== undefined && (options.retryOn ?? passingStates).includes(state);
      if (!mayPass || nth >= tries) throw withoutRows(error);
      await options.onRetry?.(withoutRows(error));
      await sleep(20 + Math.random() * Math.min(500, 40 * nth));
    }
  }
}

/** One snapshot for many reads: REPEATABLE READ READ ONLY, always rolled back. */
export async function inSnapshot<T>(client: pg.Client, work: (client: pg.Client) => Promise<T>): Promise<T> {
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  try {
    return await work(client);
  } catch (error) {
    throw withoutRows(error);
  } finally {
    await client.query("ROLLBACK").catch(() => {});
  }
}
