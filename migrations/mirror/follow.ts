import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { findCaptured } from "./capture.ts";
import { drain } from "./drain.ts";
import type { Lane } from "./pair-shape.ts";
import type { Run } from "./run.ts";
import type { Carriage } from "./carrier.ts";
import { recheck } from "./verify.ts";

/** A cutover brings at most this many keys over while it holds its lock. */
export const cutoverKeyLimit = 500;

/** Lanes of one mirror with its keys. */
export interface MirrorLanes {
  readonly lanes: readonly Lane[];
  readonly carriage: Carriage;
}

/**
 * Drains and compares again until no more keys wait than a cutover may bring over under its lock.
 *
 * @throws {DeadlineError} changes come faster than they are drained
 */
export async function follow(run: Run, mirrors: readonly MirrorLanes[]): Promise<void> {
  await refuseBlind(
    run,
    mirrors.flatMap(({ lanes }) => lanes),
  );
  for (;;) {
    for (const { lanes, carriage } of mirrors) {
      for (const lane of lanes) {
        if ((await countWaiting(run.sessions.control, [lane])) === 0) continue;
        const drained = await drain(run, lane, carriage);
        await recheck(run, lane, carriage);
        // What is not whole yet gets a moment to become so.
        if (drained === 0) await sleep(100);
      }
    }
    const waiting = await countWaiting(
      run.sessions.control,
      mirrors.flatMap(({ lanes }) => lanes),
    );
    if (waiting <= cutoverKeyLimit) return;
    run.checkDeadline();
  }
}

/** @throws {Error} the authoritative side of a lane is not captured, whatever the ledger says */
export async function refuseBlind(run: Run, lanes: readonly Lane[]): Promise<void> {
  const watched = lanes.map((lane) => lane.from);
  const captured = await findCaptured(run.sessions.control, watched, true);
  const blind = watched.filter((table) => !captured.includes(table.quoted)).map((table) => table.name);
  if (blind.length === 0) return;
  throw new Error(
    `tenant ${run.job.tenant}: changes of ${blind.join(", ")} are not captured although the ledger says so; somebody dropped the trigger or edited rc.mirror: coordinator verify, then finalize the mirror away and prepare it again`,
  );
}

/** Captured changes that wait plus keys that have to be compared again. */
export async function countWaiting(client: pg.Client, lanes: readonly Lane[]): Promise<number> {
  let waiting = 0;
  for (const lane of lanes) {
    const counted = await client.query<{ waiting: string }>(
      `SELECT (SELECT count(*) FROM ${lane.dirty})
         + (SELECT count(*) FROM rc.unverified WHERE mirror = $1 AND pair = $2) AS waiting`,
      [lane.mirror, lane.id],
    );
    waiting += Number(counted.rows[0]?.waiting ?? 0);
  }
  return waiting;
}

/** Captured changes of all mirrors that wait. */
export async function countDirty(client: pg.Client): Promise<number> {
  const tables = await client.query<{ quoted: string }>(
    `SELECT format('%I.%I', nspname, relname) AS quoted FROM pg_class JOIN pg_namespace AS schema ON schema.oid = relnamespace
     WHERE nspname = 'rc' AND relkind = 'r' AND starts_with(relname, 'dirty_')`,
  );
  let dirty = 0;
  for (const { quoted } of tables.rows) {
    const counted = await client.query<{ dirty: string }>(`SELECT count(*) AS dirty FROM ${quoted}`);
    dirty += Number(counted.rows[0]?.dirty ?? 0);
  }
  return dirty;
}
