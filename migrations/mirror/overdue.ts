import { setTimeout as sleep } from "node:timers/promises";
import { connect, engineApplicationPrefix } from "../postgres/connect.ts";
import { withoutRows } from "../postgres/errors.ts";
import { resolveReference } from "../reference.ts";
import type { TenantJob } from "./job.ts";

export interface OverdueOptions {
  /** Time that a run has after its deadline before its server is asked, and between two questions; milliseconds. */
  readonly graceMs: number;
  /** Called once, with the reason, when nobody works for the run any more. */
  readonly onOverdue: (reason: string) => void;
}

/**
 * A run looks at its deadline between two steps. One that waits for an answer which a network has swallowed never comes to
 * the next step: after the deadline somebody else asks the server whether it is at work for that run. One statement may
 * take its time - an index, a foreign key - and is left alone; a run for which no session does anything is overdue.
 *
 * @returns abort it when the run has ended
 */
export function watchOverdue(job: TenantJob, options: OverdueOptions): AbortController {
  const watch = new AbortController();
  void watchUntil(job, options, watch.signal);
  return watch;
}

/** Node fires a timer of more at once. */
const longestTimerMs = 2 ** 31 - 1;

async function watchUntil(job: TenantJob, { graceMs, onOverdue }: OverdueOptions, signal: AbortSignal): Promise<void> {
  // Between two statements a session does nothing either: only what is so at two looks in a row counts.
  let wasIdle = false;
  for (;;) {
    const waitMs = Math.min(Math.max(job.deadlineMs - Date.now(), 0) + graceMs, longestTimerMs);
    const isOver = await sleep(waitMs, false, { signal, ref: false }).catch(() => true);
    if (isOver) return;
    if (Date.now() < job.deadlineMs) continue;
    const idle = await findIdleness(job);
    if (signal.aborted) return;
    if (idle !== undefined && wasIdle) {
      const seconds = Math.round((Date.now() - job.deadlineMs) / 1000);
      onOverdue(`its time was over ${seconds} s ago and ${idle}, so that it was ended`);
      return;
    }
    wasIdle = idle !== undefined;
  }
}

/** Why nothing can be expected of the run; undefined while its server carries out a statement of it. */
async function findIdleness({ tenant, database, region }: TenantJob): Promise<string | undefined> {
  try {
    const client = await connect({
      url: resolveReference(region.postgresUrl),
      database,
      applicationName: `rc-watch ${tenant}`,
      isReadOnly: true,
      answerTimeoutMs: 10_000,
    });
    try {
      // A backend that waits for its client counts as idle, whichever of the two was cut off.
      const { rowCount } = await client.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND starts_with(application_name, $1)
           AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'`,
        [`${engineApplicationPrefix} ${tenant} `],
      );
      return (rowCount ?? 0) > 0 ? undefined : "its PostgreSQL is at work for none of its sessions";
    } finally {
      await client.end();
    }
  } catch (error) {
    return `its PostgreSQL cannot be asked about it (${withoutRows(error).message})`;
  }
}
