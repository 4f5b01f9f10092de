import { setTimeout as sleep } from "node:timers/promises";
import type { JobKind } from "../../migrations/mirror/job.ts";
import type { ReleaseTarget } from "../../migrations/wave-inputs.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import type { SeededRandom } from "../workload/seeded-random.ts";
import { type Drill, type DrillCase, shuffled } from "./drill.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { judge } from "./judge.ts";
import { type KillTarget, killTargets } from "./kill-target.ts";
import { killedUpdates } from "./killed-updates.ts";
import { isOutage } from "./outage.ts";
import type { Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";
import { type WorkloadMix, workloads } from "./workload-mix.ts";

type Direction = "forwards" | "backwards";

/** What is struck: the long way with its copy, the same and its resume, or the short way between two complete sides. */
type Moment = "the copy" | "the copy and its resume" | "the short way";

interface Storm {
  readonly target: KillTarget;
  readonly workload: WorkloadMix;
  readonly direction: Direction;
  readonly moment: Moment;
}

/** Runs that end by themselves before they are struck: each halves the delay; with none left the case has proven nothing. */
const tries = 12;

/** SIGKILL and worse at random moments, under five workloads; the engine's own processes, and real updates. */
export const killRandom: Drill = {
  name: "kill-random",
  about: "worker, parent, memory, backend, provider, CLI and program killed at random moments, under five workloads",
  cases(random) {
    const storms = killTargets.flatMap((target) =>
      workloads.flatMap((workload) =>
        (["forwards", "backwards"] as const).flatMap((direction) =>
          (["the copy", "the copy and its resume", "the short way"] as const).map((moment): Storm => ({
            target,
            workload,
            direction,
            moment,
          })),
        ),
      ),
    );
    // First one of each target and direction that leaves the server alone: a part of them may share it with others.
    const order = shuffled(storms, random);
    const first = killTargets
      .filter(({ isServerUnsteady }) => isServerUnsteady !== true)
      .flatMap((target) =>
        (["forwards", "backwards"] as const).map((direction) =>
          order.find((one) => one.target === target && one.direction === direction),
        ),
      )
      .filter((one) => one !== undefined);
    const rest = [...order.filter((one) => !first.includes(one)).map(stormCase), ...killedUpdates];
    return [...first.map(stormCase), ...shuffled(rest, random)];
  },
};

function stormCase(storm: Storm): DrillCase {
  const { target, workload, direction, moment } = storm;
  return {
    title: `${target.name}, on ${moment} ${direction}, under ${workload.name}`,
    run: (stage, random) => run(stage, random, storm),
  };
}

async function run(stage: Stage, random: SeededRandom, storm: Storm): Promise<string> {
  const { target, workload, direction, moment } = storm;
  const isForwards = direction === "forwards";
  const isShort = moment === "the short way";
  const tenant = await stage.tenant(isForwards ? (isShort ? "mirroring" : "off") : isShort ? "switched" : "retired");
  const isServerUnsteady = target.isServerUnsteady === true;
  if (isServerUnsteady) await tenant.commitSteadily();
  const traffic = new Traffic(tenant, stage.base, random, 2, isServerUnsteady ? isOutage : undefined, workload);
  const isToTheEnd = random.below(4) === 0;
  const kinds: readonly JobKind[] = isToTheEnd ? ["prepare", "cutover", "finalize"] : ["prepare", "cutover"];
  let left = moment === "the copy and its resume" ? 2 : 1;
  let misses = 0;
  let release = isForwards ? r2 : r1;
  traffic.start();
  try {
    for (;;) {
      if (release === r1) await tenant.undoContract();
      for (const kind of kinds) {
        const delayMs = random.below(isShort ? 500 : 900) >> misses;
        while (left > 0 && (await isStruck(tenant, random, { target, kind, release, delayMs, misses }))) left -= 1;
        if (left > 0) misses += 1;
        await tenant.move(kind, release);
      }
      await tenant.contract();
      if (left === 0) break;
      if (misses >= tries) throw new Error(`${tries} runs ended before they could be struck: nothing was proven`);
      release = release === r2 ? r1 : r2;
    }
  } finally {
    await traffic.stop();
  }
  const resting = release === r2 ? "switched" : "mirroring";
  await judge(tenant, traffic.log, isToTheEnd ? (release === r2 ? "retired" : "off") : resting);
  const { ok, failed, unknown } = traffic.log.counts;
  return `${misses} misses; ${ok} writes ok, ${failed} failed, ${unknown} unknown`;
}

interface Blow {
  readonly target: KillTarget;
  readonly kind: JobKind;
  readonly release: ReleaseTarget;
  readonly delayMs: number;
  readonly misses: number;
}

/** Starts a run and strikes it after the delay. @returns false when it ended by itself before */
async function isStruck(
  tenant: DrillTenant,
  random: SeededRandom,
  { target, kind, release, delayMs, misses }: Blow,
): Promise<boolean> {
  const run = tenant.startPool(kind, release, target.heapMib?.(random, misses));
  await run.workerPid();
  while (target.isReady !== undefined && run.isRunning && !(await target.isReady(tenant))) await sleep(2);
  await sleep(delayMs);
  const isHit = run.isRunning && (await target.strike(run, tenant, random));
  await run.ended();
  return isHit;
}
