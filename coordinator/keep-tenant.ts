import { hostname } from "node:os";
import { CancelledError, TakenOverError, takeOver } from "../migrations/ledger/epoch.ts";
import { authorityOf, isMirrored, readMirrors } from "../migrations/ledger/position.ts";
import { lockTenant, TenantBusyError } from "../migrations/ledger/tenant-lock.ts";
import { findWhereabouts, type Whereabouts } from "../migrations/ledger/whereabouts.ts";
import { countWaiting, follow } from "../migrations/mirror/follow.ts";
import { refuseEdited } from "../migrations/mirror/ledger-guard.ts";
import { laneFrom, readShapes } from "../migrations/mirror/pair-shape.ts";
import { DeadlineError, Run } from "../migrations/mirror/run.ts";
import { Sealing } from "../migrations/mirror/sealing.ts";
import { getMirror } from "../migrations/mirrors.ts";
import { connect, engineApplicationPrefix } from "../migrations/postgres/connect.ts";
import { resolveReference } from "../migrations/reference.ts";
import { Keyring } from "../migrations/vault/keyring.ts";
import type { Transit } from "../migrations/vault/transit.ts";
import type { RegionTarget } from "../migrations/wave-inputs.ts";
import { getRelease } from "../releases/catalog.ts";
import { releaseTarget } from "../releases/target.ts";

/** One tenant whose mirrors the keeper follows. */
export interface KeepJob {
  readonly environment: string;
  readonly tenant: string;
  readonly database: string;
  readonly region: RegionTarget;
  readonly transit: Transit;
  /** Told, while no run can move the tenant, which release its database lets in. @default nobody */
  readonly onWhereabouts?: (whereabouts: Whereabouts) => Promise<void>;
  /** Unix time in milliseconds after which the work ends with what it has; read before every batch. */
  readonly deadlineMs: number;
}

/** `busy`: another run holds the tenant, which drains it itself; `idle`: nothing waited. */
export interface KeepResult {
  readonly status: "drained" | "idle" | "busy" | "stopped";
  /** Captured changes and keys to compare again, before and after. */
  readonly waitingBefore: number;
  readonly waitingAfter: number;
}

/**
 * Brings what was captured to the other side and compares it again, with the engine's lock, epoch and code. Positions are
 * read under the lock, and only mirrors with two complete sides are touched: the keeper never builds, flips or drops.
 * @throws {PostgresError} {VaultError} the servers do not answer
 */
export async function keepTenant(job: KeepJob): Promise<KeepResult> {
  const connection = { url: resolveReference(job.region.postgresUrl), database: job.database, role: "rc_migrator" };
  const opened: { end(): Promise<void> }[] = [];
  const open = async (part: string, role: string | null = connection.role) => {
    const applicationName = `${engineApplicationPrefix} ${job.tenant} keeper ${part}`;
    const client = await connect({ ...connection, role: role ?? undefined, applicationName });
    opened.push(client);
    return client;
  };
  let waitingBefore = 0;
  let waitingAfter = 0;
  try {
    const control = await open("control");
    await lockTenant(control, job.tenant, 0);
    const whereabouts = await findWhereabouts(control);
    if (whereabouts !== undefined) await job.onWhereabouts?.(whereabouts);
    const ledger = await readMirrors(control);
    const kept = [...ledger.values()].filter(({ position, phase }) => isMirrored(position) && phase === null);
    const keyring = new Keyring({ client: control, transit: job.transit, tenant: job.tenant });
    const mirrors = [];
    for (const { mirror, position } of kept) {
      const definition = getMirror(mirror);
      const lanes = (await readShapes(control, definition)).map((shape) => laneFrom(shape, authorityOf(position)));
      mirrors.push({ lanes, sealing: new Sealing(keyring, definition, job.environment, job.tenant) });
    }
    const lanes = mirrors.flatMap((mirror) => mirror.lanes);
    waitingBefore = waitingAfter = await countWaiting(control, lanes);
    if (waitingBefore === 0) return { status: "idle", waitingBefore, waitingAfter };
    if (whereabouts === undefined) return { status: "idle", waitingBefore, waitingAfter };
    const sessions = {
      control,
      writer: await open("writer"),
      reader: await open("reader"),
      operator: await open("operator", null),
    };
    const names = kept.map(({ mirror }) => mirror);
    const epochs = await takeOver(control, sessions.operator, names, `keeper ${hostname()} process ${process.pid}`);
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
    const run = new Run(order, sessions, connection, epochs);
    for (const { lanes, sealing } of mirrors) await refuseEdited(run, lanes, sealing, true);
    await follow(run, mirrors);
    waitingAfter = await countWaiting(control, lanes);
    return { status: "drained", waitingBefore, waitingAfter };
  } catch (error) {
    if (error instanceof TenantBusyError) return { status: "busy", waitingBefore, waitingAfter };
    const isAsked =
      error instanceof DeadlineError || error instanceof TakenOverError || error instanceof CancelledError;
    if (isAsked) return { status: "stopped", waitingBefore, waitingAfter };
    throw error;
  } finally {
    await Promise.all(opened.map((client) => client.end().catch(() => undefined)));
  }
}
