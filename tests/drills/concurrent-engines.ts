import { setTimeout as sleep } from "node:timers/promises";
import { keepTenant } from "../../coordinator/keep-tenant.ts";
import type { Position } from "../../migrations/ledger/position.ts";
import type { JobKind, TenantResult } from "../../migrations/mirror/job.ts";
import { resolveReference } from "../../migrations/reference.ts";
import { Transit } from "../../migrations/vault/transit.ts";
import type { ReleaseTarget } from "../../migrations/wave-inputs.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import type { DrillCase } from "./drill.ts";
import { type DrillTenant, environment, mirror } from "./drill-tenant.ts";
import { judge } from "./judge.ts";
import { sleeper } from "./paused.ts";
import type { Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";

/** Two at work on one tenant without a stack's lock between them. */
export const concurrentEngines: readonly DrillCase[] = [
  twoAtOnce("prepare", r2, "off"),
  staleLock(),
  keeperAgainstUpdate(r2, "mirroring"),
  flagsInTheCopy(),
  twoAtOnce("cutover", r2, "mirroring"),
  opposite(),
  twoAtOnce("prepare", r1, "retired"),
  twoAtOnce("cutover", r1, "switched"),
  keeperAgainstUpdate(r1, "switched"),
  sleeper("drain.before:2", r2),
  sleeper("drain.before:2", r1),
];

/** Each ends well or says who is in its way; together they have done the work once. */
function twoAtOnce(kind: JobKind, release: ReleaseTarget, from: Position): DrillCase {
  return {
    title: `two engines ${kind} one tenant to ${release.id} at the same time`,
    async run(stage, random) {
      const { tenant, traffic } = await busyTenant(stage, random, from);
      const runs = [tenant.start(kind, release), tenant.start(kind, release)];
      const results = await Promise.all(runs.map((run) => run.ended()));
      expectOneDone(results);
      for (const next of ["prepare", "cutover"] as const) await tenant.move(next, release);
      await traffic.stop();
      await judge(tenant, traffic.log, release === r2 ? "switched" : "mirroring");
      return results.map((result) => result?.reason ?? result?.status).join(" | ");
    },
  };
}

/** One wants forwards, the other back: each flip is whole, and the last one counts. */
function opposite(): DrillCase {
  return {
    title: "one engine moves a tenant forwards while another moves it back",
    async run(stage, random) {
      const { tenant, traffic } = await busyTenant(stage, random, "mirroring");
      for (let nth = 0; nth < 3; nth += 1) {
        const runs = [tenant.start("cutover", r2), tenant.start("cutover", r1)];
        expectOneDone(await Promise.all(runs.map((run) => run.ended())));
        const found = await tenant.admin.query<{ release: string }>("SELECT release FROM rc.whereabouts");
        const wanted = (await tenant.position()) === "switched" ? "r2" : "r1";
        if (found.rows[0]?.release !== wanted) throw new Error(`the tenant is on ${found.rows[0]?.release}`);
      }
      for (const kind of ["prepare", "cutover"] as const) await tenant.move(kind, r1);
      await traffic.stop();
      await judge(tenant, traffic.log, "mirroring");
    },
  };
}

/** Its process stands still and its session lives: nobody passes it by, and when it is gone nobody has to mend anything. */
function staleLock(): DrillCase {
  return {
    title: "the tenant's lock is held by a run that stands still, then is gone",
    async run(stage, random) {
      const { tenant, traffic } = await busyTenant(stage, random, "off");
      const still = tenant.start("prepare", r2, { at: "chunk.commit.after", signal: "SIGSTOP" });
      await still.stopped();
      const refused = await tenant.start("prepare", r2).ended();
      expectBusy(refused);
      await still.end();
      for (const kind of ["prepare", "cutover"] as const) await tenant.move(kind, r2);
      await traffic.stop();
      await judge(tenant, traffic.log, "switched");
    },
  };
}

/** The keeper works all the time, an update comes: it waits for the keeper, and the keeper leaves it alone. */
function keeperAgainstUpdate(release: ReleaseTarget, from: Position): DrillCase {
  return {
    title: `the keeper drains without a pause while an update moves the tenant to ${release.id}`,
    async run(stage, random) {
      const { tenant, traffic } = await busyTenant(stage, random, from);
      let isOver = false;
      let drained = 0;
      const keeper = (async () => {
        while (!isOver) if ((await keep(tenant)).status === "drained") drained += 1;
      })();
      keeper.catch(() => {}); // reported below
      try {
        while (drained === 0) await sleep(10);
        for (const kind of ["prepare", "cutover"] as const) await tenant.move(kind, release);
        const before = drained;
        while (drained === before) await sleep(10);
      } finally {
        isOver = true;
        await keeper;
      }
      await traffic.stop();
      await judge(tenant, traffic.log, release === r2 ? "switched" : "mirroring");
      return `${drained} rounds of the keeper`;
    },
  };
}

/** Pause holds a run between two chunks, cancel ends it there; the next run goes on where it was. */
function flagsInTheCopy(): DrillCase {
  return {
    title: "pause, then cancel, in the middle of a copy",
    async run(stage, random) {
      const { tenant, traffic } = await busyTenant(stage, random, "off");
      const run = tenant.start("prepare", r2, { at: "chunk.commit.after", signal: "SIGSTOP" });
      await run.stopped();
      await setFlag(tenant, "pause", true);
      run.wake();
      await sleep(1_000);
      const copied = await ranges(tenant);
      await sleep(1_000);
      if (!run.isRunning || (await ranges(tenant)) !== copied) throw new Error("a paused run went on, or ended");
      await setFlag(tenant, "cancel", true);
      const result = await run.ended();
      if (result?.status !== "partial" || result.isCancelled !== true)
        throw new Error(`the cancelled run ended ${result?.status}: ${result?.reason}`);
      await setFlag(tenant, "pause", false);
      if ((await ranges(tenant)) !== copied) throw new Error("the cancelled run copied another chunk");
      const next = await tenant.move("prepare", r2);
      if (next.copiedRows >= next.rows) throw new Error("the next run copied everything again");
      await tenant.move("cutover", r2);
      await traffic.stop();
      await judge(tenant, traffic.log, "switched");
    },
  };
}

async function busyTenant(stage: Stage, random: Parameters<DrillCase["run"]>[1], from: Position) {
  const tenant = await stage.tenant(from);
  if (from === "retired") await tenant.undoContract();
  const traffic = new Traffic(tenant, stage.base, random);
  await traffic.burst(5);
  traffic.start();
  return { tenant, traffic };
}

function expectOneDone(results: readonly (TenantResult | undefined)[]): void {
  const done = results.filter((result) => result?.status === "done");
  if (done.length === 0) throw new Error(`neither run ended well: ${JSON.stringify(results)}`);
  for (const result of results) if (result?.status !== "done") expectBusy(result);
}

/** A run that could not have the tenant names who has it, and what to do. */
function expectBusy(result: TenantResult | undefined): void {
  const isNamed = /is busy: backend \d+ \(rc-mirror \S+ control\) holds its lock; wait for that run/.test(
    result?.reason ?? "",
  );
  if (result?.status !== "failed" || !isNamed) throw new Error(`the run ended ${result?.status}: ${result?.reason}`);
}

function keep(tenant: DrillTenant) {
  const { region, database } = tenant.job(r2);
  const [address, token] = ["env:DRL_VAULT_ADDR", "env:DRL_VAULT_TOKEN"].map(resolveReference) as [string, string];
  return keepTenant({
    environment,
    tenant: tenant.tenant,
    database,
    region,
    transit: new Transit({ address, token, mount: `transit-${environment}` }),
    deadlineMs: Date.now() + 8_000,
  });
}

async function setFlag(tenant: DrillTenant, flag: "pause" | "cancel", value: boolean): Promise<void> {
  await tenant.admin.query(`UPDATE rc.mirror SET ${flag} = $2 WHERE mirror = $1`, [mirror, value]);
}

async function ranges(tenant: DrillTenant): Promise<number> {
  const found = await tenant.admin.query<{ ranges: number }>("SELECT count(*)::int AS ranges FROM rc.range");
  return found.rows[0]?.ranges ?? 0;
}
