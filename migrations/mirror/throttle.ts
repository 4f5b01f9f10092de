import { setTimeout as sleep } from "node:timers/promises";
import type { Run } from "./run.ts";

/** Replicas may be this far behind before the load waits for them, seconds. */
export const replicaLagLimitSeconds = 10;

/**
 * Waits while replicas are behind. What a login may not see counts as no lag: the reader role of a managed server often
 * sees no replication at all.
 *
 * @param pause waits so many milliseconds; a chunk that is let through asks for none
 * @throws {DeadlineError}
 */
export async function throttle(
  run: { checkDeadline(): void; readonly sessions: { readonly operator: Pick<Run["sessions"]["operator"], "query"> } },
  pause: (ms: number) => Promise<unknown> = sleep,
): Promise<void> {
  for (;;) {
    run.checkDeadline();
    const lag = await run.sessions.operator.query<{ seconds: string | null }>(
      "SELECT extract(epoch FROM max(replay_lag)) AS seconds FROM pg_stat_replication",
    );
    if (Number(lag.rows[0]?.seconds ?? 0) < replicaLagLimitSeconds) return;
    await pause(500);
  }
}
