import { confirmEpoch } from "../ledger/epoch.ts";
import { note } from "../ledger/journal.ts";
import type { Position } from "../ledger/position.ts";
import { readTotals } from "../ledger/range.ts";
import { findWhereabouts } from "../ledger/whereabouts.ts";
import { withoutRows } from "../postgres/errors.ts";
import { build } from "./build.ts";
import type { Carriage } from "./carrier.ts";
import { cutover, stands } from "./cutover.ts";
import { CutoverError } from "./cutover-transaction.ts";
import { abandon, clearStaleCapture, remove, retire } from "./ending.ts";
import { reached } from "./fault-point.ts";
import { follow } from "./follow.ts";
import type { JobKind, TenantJob, TenantResult } from "./job.ts";
import { openKeysets, refuseEdited, refuseEditedUnlessVaultIsAway } from "./ledger-guard.ts";
import { openCarriage } from "./open-carriage.ts";
import { type Lane, laneFrom, readShapes } from "./pair-shape.ts";
import { perform } from "./perform.ts";
import { ending, type MirrorGoal, preparation } from "./plan.ts";
import type { OnProgress } from "./progress.ts";
import type { Run } from "./run.ts";
import { ensureSearchIndex } from "./search-index.ts";

/**
 * Brings a tenant's mirrors to the last position from which one short transaction reaches one that the pinned release
 * runs with. The release that runs now is not disturbed. Idempotent; never throws: see `status` and `reason`.
 */
export function prepareTenant(job: TenantJob, onProgress?: OnProgress): Promise<TenantResult> {
  return perform(job, onProgress, async (run, goals) => {
    for (const goal of goals) {
      const step = preparation(goal);
      const { name } = goal.definition;
      const shapes = await readShapes(run.sessions.control, goal.definition).catch((error: unknown) => {
        if (step === "nothing") return [];
        throw new Error(`tenant ${job.tenant}: ${withoutRows(error).message}`, { cause: error });
      });
      if (step === "nothing") {
        if (!goal.isUnderWay) await clearStaleCapture(run, name, shapes);
        else if (shapes.length > 0) {
          const carriage = goal.definition.collection === undefined ? undefined : open(run, goal);
          await abandon(run, name, goal.authority, shapes, carriage);
        }
        continue;
      }
      const carriage = open(run, goal);
      const lanes = shapes.map((shape) => laneFrom(shape, goal.authority));
      if (step === "build") {
        await openKeysets(run.sessions.control, shapes, carriage);
        await reached("key");
        await build(run, name, goal.authority, lanes, carriage, goal.phase);
      } else {
        await refuseEdited(run, shapes, carriage, true);
        await follow(run, [{ lanes, carriage }]);
      }
    }
    return undefined;
  });
}

/**
 * Moves authority to the pinned release: every mirror whose authority is elsewhere, whereabouts and privileges, all in
 * one short transaction per tenant. Without mirrors to move it still flips whereabouts and privileges. Idempotent; never
 * throws: see `status` and `reason`.
 */
export function cutoverTenant(job: TenantJob, onProgress?: OnProgress): Promise<TenantResult> {
  return perform(job, onProgress, async (run, goals) => {
    const moving = goals.filter((goal) => goal.authority !== goal.goal);
    const whereabouts = await findWhereabouts(run.sessions.control);
    const isThere = whereabouts?.release === job.release.id && whereabouts.pin === job.release.pin;
    if (moving.length === 0 && isThere) return undefined;
    const unready = moving.filter((goal) => preparation(goal) === "build");
    if (unready.length > 0) {
      const names = unready.map((goal) => `${goal.definition.name} is ${goal.position}`).join(", ");
      throw new CutoverError(`tenant ${job.tenant}: ${names}; prepare has to end first: run the update again`);
    }
    const mirrors = [];
    for (const goal of moving) {
      const totals = await readTotals(run.sessions.control, goal.definition.name);
      if (totals.unverifiedRanges > 0 || totals.ranges === 0) {
        throw new CutoverError(
          `tenant ${job.tenant}: ${totals.unverifiedRanges} of ${totals.ranges} ranges of ${goal.definition.name} are not compared; prepare has to end first: run the update again`,
        );
      }
      const shapes = await readShapes(run.sessions.control, goal.definition);
      const lanes = shapes.map((shape) => laneFrom(shape, goal.authority));
      const carriage = open(run, goal);
      // The release in front needs Vault for every row, the one behind for none: back is possible without it.
      if (goal.goal === "sink") await refuseEdited(run, shapes, carriage, true);
      else await refuseEditedUnlessVaultIsAway(run, shapes, carriage);
      mirrors.push({ goal, lanes, carriage, shapes });
    }
    await follow(run, mirrors);
    for (const { goal, lanes, carriage } of mirrors) {
      for (const lane of lanes) {
        if (goal.goal === "sink") await confirm(run, goal, lane, carriage);
        else if (lane.pair.sourceIndex !== undefined)
          await run.write(goal.definition.name, (client) => ensureSearchIndex(client, lane));
      }
    }
    const positions = Object.fromEntries(
      goals.map((goal) => [
        goal.definition.name,
        stands(goal.position, goal.goal) ? goal.position : goal.goal === "sink" ? "switched" : "mirroring",
      ]),
    ) as Record<string, Position>;
    const lockMs = await cutover(run, mirrors, positions);
    // The tenant has moved: what is left to tidy up must not make this run look as if it had not.
    for (const { goal, shapes } of mirrors)
      await clearStaleCapture(run, goal.definition.name, shapes).catch(() => undefined);
    return lockMs;
  });
}

/**
 * Takes the mirrors that `job.mirrors` names to their end: `switched` to `retired`, `mirroring` to `off`. Without names
 * nothing happens. Idempotent; never throws: see `status` and `reason`.
 */
export function finalizeTenant(job: TenantJob, onProgress?: OnProgress): Promise<TenantResult> {
  return perform(job, onProgress, async (run, goals) => {
    for (const goal of goals) {
      const step = ending(goal);
      if (job.mirrors?.includes(goal.definition.name) !== true || step === "nothing") continue;
      const shapes = await readShapes(run.sessions.control, goal.definition);
      if (step === "retire") await retire(run, goal.definition.name, shapes);
      else if (goal.definition.collection === undefined) await remove(run, goal.definition.name, shapes);
      else await remove(run, goal.definition.name, shapes, open(run, goal));
    }
    return undefined;
  });
}

/** The three wishes by name, as worker and pool call them. */
export const tenantJobs: Readonly<Record<JobKind, (job: TenantJob, onProgress?: OnProgress) => Promise<TenantResult>>> =
  {
    prepare: prepareTenant,
    cutover: cutoverTenant,
    finalize: finalizeTenant,
  };

/** The last look at what lies outside the database; what it saw is in the journal. */
async function confirm(run: Run, goal: MirrorGoal, lane: Lane, carriage: Carriage): Promise<void> {
  if (carriage.confirmSink === undefined) return;
  const { name: mirror } = goal.definition;
  const detail = { pair: lane.id, ...(await carriage.confirmSink(run.sessions.reader, lane)) };
  await run.write(mirror, (client) => note(client, { mirror, event: "confirmed", detail }));
}

/** The carriage of a mirror; the run ends what it has opened. */
function open(run: Run, goal: MirrorGoal): Carriage {
  const { name } = goal.definition;
  const carriage = openCarriage(run.sessions.control, run.job, goal.definition, {
    epoch: run.epochOf(name),
    confirm: () => confirmEpoch(run.sessions.control, name, run.epochOf(name)),
  });
  run.onEnd(async () => carriage.close?.());
  return carriage;
}
