import { readFileSync } from "node:fs";
import type { JobKind, TenantJob, TenantResult } from "../migrations/mirror/job.ts";
import { runTenants } from "../migrations/mirror/pool.ts";
import type { TestTenant } from "../tests/migrations/mirror/tenant-fixture.ts";

/** One wish on one tenant, in a worker process as the nodes run it. */
export interface TenantRun extends TenantResult {
  /** Of the whole worker process. */
  readonly peakRssMib: number;
}

/** How long the parts of a `prepare` took, seconds; both end with a commit. */
export interface BuildTimes {
  /** From the start to the last copied row, its foreign key and statistics: sessions, keys, capture, load. */
  readonly copySeconds: number;
  /** Comparing every row of both sides. */
  readonly verifySeconds: number;
  readonly peakRssMib: number;
}

/** @throws {Error} the run did not end `done` */
export async function runTenant(kind: JobKind, job: TenantJob): Promise<TenantRun> {
  let peakRssMib = 0;
  let watch: NodeJS.Timeout | undefined;
  try {
    const [result] = await runTenants(kind, [job], {
      concurrency: 1,
      onWorker: (_, pid) => {
        watch = setInterval(() => (peakRssMib = Math.max(peakRssMib, peakOf(pid))), 20);
      },
    });
    if (result === undefined || result.status !== "done")
      throw new Error(`${kind} of ${job.tenant} ended ${result?.status}: ${result?.reason}`);
    return { ...result, peakRssMib };
  } finally {
    clearInterval(watch);
  }
}

/** Runs `prepare` of a tenant that has to build its other side, and takes the times from its journal. */
export async function timeBuild(tenant: TestTenant, job: TenantJob): Promise<BuildTimes> {
  const { seconds, peakRssMib } = await runTenant("prepare", job);
  const found = await tenant.admin.query<{ verify: string }>(
    `SELECT extract(epoch FROM max(at) FILTER (WHERE event IN ('mirroring', 'switched')) - max(at) FILTER (WHERE event = 'loaded')) AS verify
     FROM rc.journal`,
  );
  const verifySeconds = Number(found.rows[0]?.verify);
  return { copySeconds: seconds - verifySeconds, verifySeconds, peakRssMib };
}

/** Greatest resident size so far, MiB; the last reading of a process that has ended stands. */
function peakOf(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
