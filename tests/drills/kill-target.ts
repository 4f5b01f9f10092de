import { execa } from "execa";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { getPostgresUrl } from "../servers.ts";
import type { SeededRandom } from "../workload/seeded-random.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import type { PoolProcess } from "./pool-process.ts";
import { isAlive } from "./process-tree.ts";

/** What is ended at a random moment. */
export interface KillTarget {
  readonly name: string;
  /** Whether writers lose sessions by it as well. */
  readonly isServerUnsteady?: boolean;
  /** Heap that the worker starts with, MiB: it dies when it needs more. @param misses runs for which it was enough */
  heapMib?(random: SeededRandom, misses: number): number;
  /** Whether there is something to strike yet. @default at once */
  isReady?(tenant: DrillTenant): Promise<boolean>;
  /** Ends it. @returns false when there was nothing left to end */
  strike(run: PoolProcess, tenant: DrillTenant, random: SeededRandom): Promise<boolean>;
}

export const killTargets: readonly KillTarget[] = [
  {
    name: "the worker",
    strike: async (run) => kill(await run.workerPid()),
  },
  {
    name: "the worker's parent",
    strike: async (run) => kill(run.parentPid),
  },
  {
    name: "a worker whose heap is too small",
    // Between what Node itself needs and what the engine has needed when it was measured.
    heapMib: (random, misses) => Math.max(4, 8 + random.below(6) - misses),
    // It dies where it happens to need more memory; nothing has to be done here.
    async strike(run) {
      const result = await run.ended();
      return result?.status === "failed";
    },
  },
  {
    name: "a worker that gets no more memory from the kernel",
    async strike(run) {
      const pid = await run.workerPid();
      const limited = await execa("prlimit", ["--pid", String(pid), "--as=1:1", "--data=1:1"], { reject: false });
      if (limited.exitCode !== 0) return false;
      const result = await run.ended();
      return result?.status === "failed";
    },
  },
  {
    name: "a backend of the engine, terminated",
    isReady: async (tenant) => (await backends(tenant)).length > 0,
    strike: (_run, tenant, random) => strikeBackend(tenant, random, "terminate"),
  },
  {
    name: "a backend of the engine, killed, and with it the server",
    isServerUnsteady: true,
    isReady: async (tenant) => (await backends(tenant)).length > 0,
    strike: (_run, tenant, random) => strikeBackend(tenant, random, "kill"),
  },
];

function kill(pid: number): boolean {
  if (!isAlive(pid)) return false;
  process.kill(pid, "SIGKILL");
  return true;
}

async function backends(tenant: DrillTenant): Promise<number[]> {
  const found = await tenant.admin.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'rc-mirror%' ORDER BY pid`,
  );
  return found.rows.map(({ pid }) => pid);
}

/** One of the engine's sessions on the tenant, whatever it is doing. */
async function strikeBackend(tenant: DrillTenant, random: SeededRandom, how: "terminate" | "kill"): Promise<boolean> {
  const present = await backends(tenant);
  if (present.length === 0) return false;
  const pid = random.pick(present);
  if (how === "terminate") {
    const ended = await tenant.admin.query<{ ended: boolean }>("SELECT pg_terminate_backend($1) AS ended", [pid]);
    return ended.rows[0]?.ended === true;
  }
  if (!kill(pid)) return false;
  await serverIsBack(tenant);
  return true;
}

/** After a crash of one backend PostgreSQL ends all others and recovers. */
async function serverIsBack(tenant: DrillTenant): Promise<void> {
  await tenant.admin.query("SELECT 1").then(
    // The postmaster has not noticed yet: wait until it has ended us.
    () => tenant.admin.query("SELECT pg_sleep(60)").catch(() => {}),
    () => {},
  );
  for (let nth = 0; ; nth += 1) {
    const client = new pg.Client({ connectionString: getPostgresUrl() });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.end();
      return await tenant.reopen();
    } catch (error) {
      await client.end().catch(() => {});
      if (nth >= 600) throw error;
      await sleep(50);
    }
  }
}
