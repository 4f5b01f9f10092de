import { hostname } from "node:os";
import type pg from "pg";
import { CancelledError, heedFlags, takeOver, TakenOverError } from "../ledger/epoch.ts";
import { ensureMirror, type MirrorState, readMirrors } from "../ledger/position.ts";
import { readTotals } from "../ledger/range.ts";
import { ensureLedger } from "../ledger/schema.ts";
import { lockTenant } from "../ledger/tenant-lock.ts";
import { connect } from "../postgres/connect.ts";
import { withoutRows } from "../postgres/errors.ts";
import { tellServerFault } from "../postgres/server-fault.ts";
import { resolveReference } from "../reference.ts";
import { refuseContradictions } from "./contradiction.ts";
import { reached } from "./fault-point.ts";
import { countDirty } from "./follow.ts";
import type { TenantJob, TenantResult } from "./job.ts";
import { type PairShape, readShapes } from "./pair-shape.ts";
import { type MirrorGoal, mirrorGoals } from "./plan.ts";
import type { OnProgress } from "./progress.ts";
import { DeadlineError, Run } from "./run.ts";

/** A tenant's mirrors with what the ledger said of them after the takeover. */
export type Goals = readonly (MirrorGoal & { phase: MirrorState["phase"] })[];

/** An update waits this long for a keeper that is at work on the tenant; a keeper's drain takes seconds. */
const keeperPatienceMs = 15_000;

/**
 * One run on one tenant: sessions, lock, takeover, `work`, and what became of it. Never throws: see `status` and `reason`.
 *
 * @param work returns for how long writers waited, milliseconds; undefined when nothing was flipped
 */
export async function perform(
  job: TenantJob,
  onProgress: OnProgress | undefined,
  work: (run: Run, goals: Goals) => Promise<number | undefined>,
): Promise<TenantResult> {
  const startedAt = performance.now();
  const opened: { end(): Promise<void> }[] = [];
  let run: Run | undefined;
  let lockMs: number | undefined;
  let status: TenantResult["status"] = "done";
  let reason: string | undefined;
  let isCancelled = false;
  try {
    const connection = { url: resolveReference(job.region.postgresUrl), database: job.database, role: "rc_migrator" };
    const open = async (part: string, role: string | null = connection.role) => {
      const client = await connect({
        ...connection,
        role: role ?? undefined,
        applicationName: `rc-mirror ${job.tenant} ${part}`,
      });
      opened.push(client);
      return client;
    };
    const control = await open("control");
    await reached("plan");
    await ensureLedger(control);
    await lockTenant(control, job.tenant, keeperPatienceMs);
    await reached("lock");
    const sessions = {
      control,
      writer: await open("writer"),
      reader: await open("reader"),
      operator: await open("operator", null),
    };
    for (const name of job.release.sinkMirrors) await ensureMirror(control, name);
    const mirrors = [...(await readMirrors(control)).keys()];
    const holder = `${hostname()} process ${process.pid}`;
    const cancelAgeMs = Math.max(0, Date.now() - (job.updateStartedAtMs ?? Infinity));
    const epochs = await takeOver(control, sessions.operator, mirrors, holder, { cancelAgeMs });
    run = new Run(job, sessions, connection, epochs, { onProgress });
    // Read after the takeover: what the run before has committed in its last moment is in it.
    const ledger = await readMirrors(control);
    for (const state of ledger.values()) heedFlags({ ...state, pause: false });
    const goals = mirrorGoals(job, ledger).map((goal) => ({
      ...goal,
      phase: ledger.get(goal.definition.name)?.phase ?? null,
    }));
    for (const goal of goals) await refuseContradictions(control, job, goal, await readKnownShapes(control, goal));
    lockMs = await work(run, goals);
  } catch (error) {
    const clean = withoutRows(error);
    status = clean instanceof DeadlineError || clean instanceof CancelledError ? "partial" : "failed";
    isCancelled = clean instanceof CancelledError;
    reason =
      clean instanceof TakenOverError
        ? `another run has taken over: ${clean.message}`
        : tellServerFault(clean, job.tenant, resolveReference(job.region.postgresUrl));
  }
  const counts = await standing(run);
  await run?.end();
  await Promise.all(opened.map((client) => client.end().catch(() => {})));
  return {
    tenant: job.tenant,
    ...counts,
    copiedRows: run?.progress.rows("copied") ?? 0,
    ...(lockMs === undefined ? {} : { lockMs }),
    seconds: Math.round(performance.now() - startedAt) / 1000,
    status,
    ...(reason === undefined ? {} : { reason }),
    ...(isCancelled ? { isCancelled } : {}),
  };
}

/** Tables of a mirror; none before its expand revision. */
async function readKnownShapes(client: pg.Client, goal: MirrorGoal): Promise<PairShape[]> {
  return readShapes(client, goal.definition).catch(() => []);
}

type Stock = Pick<TenantResult, "positions" | "rows" | "bytes" | "dirty">;
const emptyStock: Stock = { positions: {}, rows: 0, bytes: 0, dirty: 0 };

/** What the ledger says at the end; asked anew when the session has broken, since the work may have been done all the same. */
async function standing(run: Run | undefined): Promise<Stock> {
  if (run === undefined) return emptyStock;
  try {
    return await takeStock(run.sessions.control);
  } catch {
    const options = { ...run.connection, applicationName: `rc-mirror ${run.job.tenant} standing`, isReadOnly: true };
    const client = await connect(options).catch(() => undefined);
    if (client === undefined) return emptyStock;
    return await takeStock(client)
      .catch(() => emptyStock)
      .finally(() => client.end().catch(() => {}));
  }
}

async function takeStock(client: pg.Client): Promise<Stock> {
  const ledger = await readMirrors(client);
  let [rows, bytes] = [0, 0];
  for (const mirror of ledger.keys()) {
    const totals = await readTotals(client, mirror);
    rows += totals.rows;
    bytes += totals.bytes;
  }
  const positions = Object.fromEntries([...ledger.values()].map((state) => [state.mirror, state.position]));
  return { positions, rows, bytes, dirty: await countDirty(client) };
}
