import { hostname } from "node:os";
import type pg from "pg";
import { TakenOverError, takeOver } from "../migrations/ledger/epoch.ts";
import { authorityOf, isMirrored, readMirrors } from "../migrations/ledger/position.ts";
import { ensureLedger } from "../migrations/ledger/schema.ts";
import { lockTenant, TenantBusyError, unlockTenant } from "../migrations/ledger/tenant-lock.ts";
import { findWhereabouts, type Whereabouts } from "../migrations/ledger/whereabouts.ts";
import { countWaiting, follow } from "../migrations/mirror/follow.ts";
import { refuseEdited } from "../migrations/mirror/ledger-guard.ts";
import { laneFrom, readShapes } from "../migrations/mirror/pair-shape.ts";
import { hasLostRoots, restoreRoot } from "../migrations/mirror/restore-root.ts";
import { DeadlineError, Run } from "../migrations/mirror/run.ts";
import { Sealing } from "../migrations/mirror/sealing.ts";
import { getMirror } from "../migrations/mirrors.ts";
import type { TenantState } from "../migrations/registry/projection.ts";
import { readStates } from "../migrations/tenant-state.ts";
import type { Transit } from "../migrations/vault/transit.ts";
import type { RegionTarget } from "../migrations/wave-inputs.ts";
import { getRelease } from "../releases/catalog.ts";
import { releaseTarget } from "../releases/target.ts";
import { KeeperSessions, type TenantSessions } from "./keeper-sessions.ts";

/** One tenant whose mirrors the keeper follows. */
export interface KeepJob {
  readonly environment: string;
  readonly tenant: string;
  readonly database: string;
  readonly region: RegionTarget;
  readonly transit: Transit;
  /** Told, while no run can move the tenant, which release its database lets in. @default nobody */
  readonly onWhereabouts?: (whereabouts: Whereabouts) => Promise<void>;
  /**
   * Asked when nothing waits and a range has lost its signed root: whether one range may be compared again, and signed. It
   * takes as long as a chunk. @default never
   */
  readonly mayRestoreRoot?: () => boolean;
  /** Unix time in milliseconds after which the work ends with what it has; read before every batch. */
  readonly deadlineMs: number;
}

/** `busy`: another run holds the tenant, which drains it itself; `idle`: nothing waited; `signed`: a root was restored. */
export interface KeepResult {
  readonly status: "drained" | "idle" | "signed" | "busy" | "stopped";
  /** Captured changes and keys to compare again, before and after. */
  readonly waitingBefore: number;
  readonly waitingAfter: number;
  /** The tenant's mirrors afterwards, from its own ledger. */
  readonly states: readonly TenantState[];
}

/**
 * Brings what was captured to the other side and compares it again, with the engine's lock, epoch and code. Positions are
 * read under the lock, and only mirrors with two complete sides are touched: the keeper never builds, flips or drops.
 * @param kept sessions of earlier turns, and where those of a tenant that had something to drain are left. @default none
 * @throws {PostgresError} {VaultError} the servers do not answer
 */
export async function keepTenant(job: KeepJob, kept = new KeeperSessions(0)): Promise<KeepResult> {
  const sessions = kept.take(job);
  let isWritten = false;
  try {
    const control = await sessions.get("control");
    const outcome = await takeTurn(job, control, sessions);
    const states = await readStates(control, job.tenant);
    isWritten = outcome.status === "drained";
    return { ...outcome, states };
  } finally {
    // Whatever went wrong may have left a transaction or a lock behind: it ends with its session.
    await (isWritten ? kept.giveBack(job.tenant, sessions) : sessions.end());
  }
}

type Outcome = Omit<KeepResult, "states">;

/** The work of one turn, under the tenant's lock; another run's lock, or its taking over, ends it. */
async function takeTurn(job: KeepJob, control: pg.Client, sessions: TenantSessions): Promise<Outcome> {
  const waiting = { waitingBefore: 0, waitingAfter: 0 };
  try {
    await lockTenant(control, job.tenant, 0);
    const status = await drainTenant(job, sessions, waiting);
    await unlockTenant(control);
    return { status, ...waiting };
  } catch (error) {
    if (error instanceof TenantBusyError) return { status: "busy", ...waiting };
    if (error instanceof DeadlineError || error instanceof TakenOverError) return { status: "stopped", ...waiting };
    throw error;
  }
}

/** @param waiting gets the counts, also when the turn ends early */
async function drainTenant(
  job: KeepJob,
  sessions: TenantSessions,
  waiting: { waitingBefore: number; waitingAfter: number },
): Promise<"idle" | "signed" | "drained"> {
  const control = await sessions.get("control");
  const whereabouts = await findWhereabouts(control);
  if (whereabouts !== undefined) await job.onWhereabouts?.(whereabouts);
  const ledger = await readMirrors(control);
  const followed = [...ledger.values()].filter(
    ({ position, phase, pause }) => isMirrored(position) && phase === null && !pause,
  );
  const mirrors = [];
  for (const { mirror, position } of followed) {
    const definition = getMirror(mirror);
    const lanes = (await readShapes(control, definition)).map((shape) => laneFrom(shape, authorityOf(position)));
    mirrors.push({ lanes, carriage: new Sealing(await sessions.keyring(), definition, job.environment, job.tenant) });
  }
  const lanes = mirrors.flatMap((mirror) => mirror.lanes);
  waiting.waitingBefore = waiting.waitingAfter = await countWaiting(control, lanes);
  const names = followed.map(({ mirror }) => mirror);
  const isIdle = waiting.waitingBefore === 0;
  if (whereabouts === undefined) return "idle";
  if (isIdle && !((await hasLostRoots(control, names)) && job.mayRestoreRoot?.() === true)) return "idle";
  const parts = {
    control,
    writer: await sessions.get("writer"),
    reader: await sessions.get("reader"),
    operator: await sessions.get("operator"),
  };
  await ensureLedger(control); // which may be one of an older program: not every update touches every tenant
  const holder = `keeper ${hostname()} process ${process.pid}`;
  // A cancel flag is for an update, and stays until that has seen it.
  const epochs = await takeOver(control, parts.operator, names, holder, { cancelAgeMs: undefined });
  const release = releaseTarget(getRelease(whereabouts.release));
  const { environment, tenant, database, region } = job;
  const order = {
    environment,
    tenant,
    database,
    region,
    release,
    // Read again before every batch, so that a keeper that is told to stop ends with the batch under way.
    get deadlineMs() {
      return job.deadlineMs;
    },
  };
  const run = new Run(order, parts, sessions.connection, epochs, { heedsFlags: false });
  for (const { lanes: own, carriage } of mirrors) await refuseEdited(run, own, carriage, true);
  if (isIdle) return (await restoreRoot(run, mirrors)) ? "signed" : "idle";
  await follow(run, mirrors);
  waiting.waitingAfter = await countWaiting(control, lanes);
  return "drained";
}
