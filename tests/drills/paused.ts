import { setTimeout as sleep } from "node:timers/promises";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import type { ReleaseTarget } from "../../migrations/wave-inputs.ts";
import type { Drill, DrillCase } from "./drill.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import type { FaultPlace } from "./engine-process.ts";
import { judge } from "./judge.ts";
import { Traffic } from "./traffic.ts";

/** A run that is paused, loses its sessions, is taken over and wakes up when everything is over. */
export const paused: Drill = {
  name: "paused",
  about:
    "a run sleeps at a named point, another takes over and ends the work, the sleeper wakes and must write nothing",
  cases: () => [
    sleeper("drain.before:2", r2),
    sleeper("drain.before:2", r1),
    sleeper("chunk.commit.after", r2),
    sleeper("verify.after", r2),
    sleeper("chunk.copy.before", r1),
    sleeper("position.before", r2),
    sleeper("cutover.lock.before", r2),
    sleeper("cutover.lock.before", r1),
    sleeper("verify.before", r1),
    sleeper("drain.commit.before", r2),
    sleeper("reference", r2),
    sleeper("retire.before", r2),
    inTransaction,
  ],
};

/** A case in which a run sleeps at a point and wakes when another one has ended its work. */
export function sleeper(point: FaultPlace, release: ReleaseTarget): DrillCase {
  const other = release === r2 ? r1 : r2;
  const kind = point.startsWith("cutover.") ? "cutover" : point.startsWith("retire.") ? "finalize" : "prepare";
  return {
    title: `asleep at ${point} on the way to ${release.id}, awake after the way there`,
    async run(stage, random) {
      // A drain follows an existing copy; the other points are reached by building one.
      const isMirrored = kind === "cutover" || point.startsWith("drain.");
      const before = release === r2 ? (isMirrored ? "mirroring" : "off") : isMirrored ? "switched" : "retired";
      const tenant = await stage.tenant(kind === "finalize" ? "switched" : before);
      if (release === r1) await tenant.undoContract();
      const traffic = new Traffic(tenant, stage.base, random);
      await traffic.burst(8);
      const run = tenant.start(kind, release, { at: point, signal: "SIGSTOP" });
      await run.stopped();
      await cutOff(tenant);
      await traffic.burst(4);
      if (kind === "finalize") await turnBack(tenant, other);
      else for (const next of ["prepare", "cutover"] as const) await tenant.move(next, release);
      await traffic.burst(16);
      run.wake();
      const late = await run.ended();
      if (late?.status !== "failed") throw new Error(`the sleeper ended ${late?.status ?? "without a report"}`);
      await traffic.burst(4);
      await traffic.stop();
      const end = kind === "finalize" ? other : release;
      await judge(tenant, traffic.log, end === r2 ? "switched" : "mirroring");
    },
  };
}

/** It sleeps with a transaction open that holds the epoch: whoever takes over ends that backend, after 30 seconds. */
const inTransaction: DrillCase = {
  title: "asleep with an open transaction, which the takeover has to terminate",
  async run(stage, random) {
    const tenant = await stage.tenant("off");
    const traffic = new Traffic(tenant, stage.base, random);
    await traffic.burst(4);
    const run = tenant.start("prepare", r2, { at: "chunk.copy.after", signal: "SIGSTOP" });
    await run.stopped();
    await cutOff(tenant, "application_name LIKE 'rc-mirror % control'");
    await tenant.move("prepare", r2);
    run.wake();
    const late = await run.ended();
    // Without the termination the server's idle timeout would have done it half a minute later.
    if (late?.status !== "failed" || /idle-in-transaction/.test(late.reason ?? "")) {
      throw new Error(`the sleeper ended ${late?.status}: ${late?.reason}; the takeover should have terminated it`);
    }
    await traffic.burst(4);
    await traffic.stop();
    await judge(tenant, traffic.log, "mirroring");
  },
};

/** Its sessions that hold anything. */
const holding = `application_name LIKE 'rc-mirror % control'
  OR application_name LIKE 'rc-mirror%' AND state LIKE 'idle in transaction%'`;

async function turnBack(tenant: DrillTenant, other: ReleaseTarget): Promise<void> {
  await tenant.move("prepare", other);
  await tenant.move("cutover", other);
}

/** Its connection is lost and the server has noticed: the tenant's lock is free while the process believes it has it. */
async function cutOff(tenant: DrillTenant, which = holding): Promise<void> {
  await tenant.admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND (${which})`,
  );
  for (;;) {
    const locks = await tenant.admin.query(
      `SELECT FROM pg_locks WHERE locktype = 'advisory'
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    );
    if (locks.rowCount === 0) return;
    await sleep(20);
  }
}
