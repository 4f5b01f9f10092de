import { setTimeout as sleep } from "node:timers/promises";
import type { SeededRandom } from "../workload/seeded-random.ts";
import type { DrillCase } from "./drill.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { judge } from "./judge.ts";
import type { Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";
import type { UpdatePart } from "./update-process.ts";
import { catalogR1, catalogR2, type Way } from "./wave-stack.ts";
import { WaveWorld } from "./wave-world.ts";
import { workloads } from "./workload-mix.ts";

/** What of a real `pulumi up` is killed; `everything` as by a power cut. */
type Victim = UpdatePart | "everything";
type Move = Exclude<Way, "at rest">;

const names: Readonly<Record<Victim, string>> = {
  cli: "Pulumi's command line",
  provider: "the provider",
  program: "the program's process",
  worker: "a worker of the provider",
  everything: "everything at once",
};

/** A real `pulumi up` is killed at a random moment, and the next ones resume it. */
export const killedUpdates: readonly DrillCase[] = (Object.keys(names) as Victim[]).flatMap((victim, nth) =>
  (["forwards", "backwards"] as const).flatMap((way, other) =>
    [1, 2].map((kills): DrillCase => ({
      title: `${names[victim]} of a real update ${way}${kills === 2 ? ", and of its resume" : ""}, under ${mixOf(nth + other).name}`,
      run: (stage, random) => run(stage, random, victim, way, kills, mixOf(nth + other)),
    })),
  ),
);

function mixOf(nth: number) {
  return workloads[nth % workloads.length] as (typeof workloads)[number];
}

async function run(
  stage: Stage,
  random: SeededRandom,
  victim: Victim,
  first: Move,
  kills: number,
  mix: (typeof workloads)[number],
): Promise<string> {
  const isForwards = first === "forwards";
  const tenant = await stage.tenant(isForwards ? "off" : "retired");
  if (!isForwards) await tenant.undoContract();
  const world = await WaveWorld.open(stage, [{ tenant, at: isForwards ? catalogR1 : catalogR2 }]);
  const traffic = new Traffic(tenant, stage.base, random, 2, undefined, mix);
  traffic.start();
  let [left, misses, runs] = [kills, 0, 0];
  let way: Move = first;
  try {
    for (;;) {
      await world.stack.pin(way);
      while (left > 0 && (await isKilled(world, victim, random.below(2_500) >> misses))) left -= 1;
      if (left > 0) misses += 1;
      runs += await finish(world, tenant, way);
      if (left === 0) break;
      if (misses >= 6) throw new Error(`${misses} updates ended before they could be struck: nothing was proven`);
      way = way === "forwards" ? "backwards" : "forwards";
    }
    await traffic.stop();
    const route = await world.routeOf(tenant);
    const pin = way === "forwards" ? catalogR2.pin : catalogR1.pin;
    if (route !== pin) throw new Error(`the gateway follows ${route}, the tenant is on ${pin}`);
    await world.stack.clearPending();
    await judge(tenant, traffic.log, way === "forwards" ? "switched" : "mirroring");
  } finally {
    await traffic.stop().catch(() => {});
    await world.close();
  }
  return `${misses} misses, ${runs} updates to resume; ${traffic.log.counts.ok} writes ok`;
}

/** Starts an update and kills a part of it after the delay. @returns false when it was over before */
async function isKilled({ stack }: WaveWorld, victim: Victim, delayMs: number): Promise<boolean> {
  if ((await stack.locks()).length > 0) await stack.cancel();
  const update = stack.up();
  const part = victim === "everything" ? "provider" : victim;
  const found = await update.until(part).catch(() => undefined);
  await sleep(delayMs);
  const parts: readonly UpdatePart[] = victim === "everything" ? ["cli", "provider", "program", "worker"] : [victim];
  // A wave has several workers one after another: the one that lives now.
  const living = parts.flatMap((one) => update.find(one));
  const isHit = found !== undefined && update.isRunning && living.length > 0;
  if (isHit) for (const { pid } of living) killIfThere(pid);
  await update.ended();
  return isHit;
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended between being found and being struck.
  }
}

/** What a person does next: take the dead update's lock away, and `pulumi up` again. @returns how many updates it took */
async function finish({ stack, registry }: WaveWorld, tenant: DrillTenant, way: Move): Promise<number> {
  const wanted = way === "forwards" ? "switched" : "mirroring";
  for (let nth = 1; nth <= 12; nth += 1) {
    if ((await stack.locks()).length > 0) await stack.cancel();
    const update = stack.up();
    const code = await update.ended();
    const { output } = update;
    // What the killed update has left may be at work still: its lock is respected, and named.
    const isBusy = /is busy: .* holds its lock/.test(output);
    if (code !== 0 && !isBusy) throw new Error(`the update after the kill ended with ${code}: ${output}`);
    const steps = await registry.waveSteps.list("drl", way === "forwards" ? catalogR2.pin : catalogR1.pin);
    const isDone = steps.filter(({ step }) => step !== "finalize").every(({ status }) => status === "done");
    if (code === 0 && isDone && (await tenant.position()) === wanted) return nth;
    await sleep(500);
  }
  throw new Error(`twelve updates have not brought the tenant to ${wanted}`);
}
