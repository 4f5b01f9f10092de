import { setTimeout as sleep } from "node:timers/promises";
import { longestWaitSeconds } from "../../coordinator/stack-lock.ts";
import type { DrillCase } from "./drill.ts";
import { expectEnd, hold } from "./concurrent-updates.ts";
import { type DrillTenant, environment, mirror } from "./drill-tenant.ts";
import { judge } from "./judge.ts";
import { processTree } from "./process-tree.ts";
import { r2 } from "../migrations/mirror/tenant-fixture.ts";
import { Traffic } from "./traffic.ts";
import type { UpdateProcess } from "./update-process.ts";
import { catalogR1 } from "./wave-stack.ts";
import { WaveWorld } from "./wave-world.ts";
import { keyless } from "./workload-mix.ts";

/** Seconds within which a rollback has to begin, or to say who keeps it from beginning. */
const limitSeconds = 120;

/** Somebody wants back while an update is under way, or while what is left of one holds the stack. */
export const concurrentRollbacks: readonly DrillCase[] = [
  rollbackAt("the copy", "chunk.commit.after"),
  rollbackAt("the comparison", "verify.before"),
  rollbackAt("the cutover of the first of two waves", "cutover.lock.before", ["canary", "general"]),
  rollbackAt("retire", "retire.before", ["general"], "finalize: { general: [prompt-encryption] }"),
  deadOwner(),
  livingOwner(),
];

/** The running update is asked to stop, stops within a chunk, and the tenants go back with every row. */
function rollbackAt(where: string, point: string, waves: readonly string[] = ["general"], extra = ""): DrillCase {
  return backCase(`rollback while an update is at ${where}`, waves, async (world, tenants) => {
    await world.stack.pin("forwards", extra);
    const update = world.stack.up(hold(point));
    await update.stoppedWorker();
    const startedAt = performance.now();
    const rollback = world.stack.startCoordinator(["rollback", environment]);
    // The worker stands still: it may go on, into the request to stop, when that is there.
    while (rollback.isRunning && !(await isAsked(tenants))) await sleep(50);
    while (update.isRunning) {
      for (const { pid, state } of update.find("worker")) if (state === "T") process.kill(pid, "SIGCONT");
      await sleep(100);
    }
    await expectEnd(rollback, 0);
    const seconds = (performance.now() - startedAt) / 1000;
    // How long it waits is the product's own bound, not this machine's luck; what it did wait is only told.
    if (longestWaitSeconds > limitSeconds)
      throw new Error(`a rollback waits ${longestWaitSeconds} s for a locked stack; allowed are ${limitSeconds} s`);
    return `${seconds.toFixed(0)} s from the command to the end (it may wait ${longestWaitSeconds} s before it begins; goal ${limitSeconds} s)`;
  });
}

function deadOwner(): DrillCase {
  return backCase("rollback when the owner of the stack's lock is dead", ["general"], async (world) => {
    await world.stack.pin("forwards");
    const update = world.stack.up(hold("chunk.commit.after"));
    await update.stoppedWorker();
    await update.end();
    const run = await world.stack.coordinator("rollback", environment);
    if (run.code !== 0 || !/which is dead: removing the lock/.test(run.stderr))
      throw new Error(`the rollback ended with ${run.code}: ${run.stdout}${run.stderr}`);
  });
}

/** It cannot be asked and must not be broken into: the rollback says who it is. */
function livingOwner(): DrillCase {
  return backCase(
    "rollback when the owner of the stack's lock lives and does not answer",
    ["general"],
    async (world) => {
      await world.stack.pin("forwards");
      const update = world.stack.up(hold("chunk.commit.after"));
      await update.stoppedWorker();
      signalAll(update, "SIGSTOP");
      const refused = await world.stack.coordinator("rollback", environment);
      const name = new RegExp(`still locked by \\S+@\\S+ \\(pid ${update.pid}\\) since \\S+ after (\\d+) s`);
      const waitedSeconds = Number(name.exec(refused.stderr)?.[1]);
      if (refused.code !== 1 || !(waitedSeconds <= longestWaitSeconds))
        throw new Error(`the rollback ended with ${refused.code}: ${refused.stdout}${refused.stderr}`);
      signalAll(update, "SIGCONT");
      await update.ended();
      const run = await world.stack.coordinator("rollback", environment);
      if (run.code !== 0) throw new Error(`the second rollback ended with ${run.code}: ${run.stdout}${run.stderr}`);
    },
  );
}

function backCase(
  title: string,
  waves: readonly string[],
  act: (world: WaveWorld, tenants: readonly DrillTenant[]) => Promise<string | void>,
): DrillCase {
  return {
    title,
    async run(stage, random) {
      const tenants: DrillTenant[] = [];
      for (const wave of waves)
        tenants.push(await stage.tenant("off", wave === waves[0] ? undefined : `${stage.base.tenant}-${wave}`));
      const members = tenants.map((tenant, nth) => ({ tenant, at: catalogR1, tags: [waves[nth] ?? ""] }));
      const world = await WaveWorld.open(stage, members, waves);
      const traffics = tenants.map((tenant) => new Traffic(tenant, stage.base, random, 2, undefined, keyless));
      for (const traffic of traffics) traffic.start();
      try {
        await expectEnd(world.stack.up(), 0); // the state that a rollback goes back to
        const remark = await act(world, tenants);
        for (const traffic of traffics) await traffic.stop();
        for (const [nth, tenant] of tenants.entries()) {
          const route = await world.routeOf(tenant);
          if (route !== catalogR1.pin) throw new Error(`${tenant.tenant} is routed to ${route}`);
          const log = traffics[nth]?.log as Traffic["log"];
          // Where it had not begun to leave, or had only begun, nothing may be left of the attempt, and there is no second
          // side to compare with.
          if ((await tenant.position()) === "off") await judge(tenant, log, "off");
          await tenant.move("prepare", r2);
          await judge(tenant, log, "mirroring");
        }
        return remark;
      } finally {
        for (const traffic of traffics) await traffic.stop().catch(() => {});
        await world.close();
      }
    },
  };
}

async function isAsked(tenants: readonly DrillTenant[]): Promise<boolean> {
  for (const tenant of tenants) {
    const found = await tenant.admin.query("SELECT FROM rc.mirror WHERE mirror = $1 AND cancel", [mirror]);
    if ((found.rowCount ?? 0) > 0) return true;
  }
  return false;
}

function signalAll(update: UpdateProcess, signal: "SIGSTOP" | "SIGCONT"): void {
  for (const { pid } of processTree(update.pid)) process.kill(pid, signal);
}
