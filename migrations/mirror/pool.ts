import { fork } from "node:child_process";
import { join } from "node:path";
import pLimit from "p-limit";
import { type JobKind, type TenantJob, type TenantResult, untouched } from "./job.ts";
import { watchOverdue } from "./overdue.ts";
import type { OnProgress } from "./progress.ts";
import type { WorkerOrder, WorkerReport } from "./worker.ts";

/** How many tenants are worked on at once. */
export interface PoolOptions {
  /** Worker processes, one tenant each; 1 to 64. */
  readonly concurrency: number;
  /** Called as soon as a tenant is finished, in the order in which they finish. What it throws is thrown at the end. */
  readonly onResult?: (result: TenantResult) => void | Promise<void>;
  /** Told how far each tenant is, while its worker runs. */
  readonly onProgress?: OnProgress;
  /** Called with the process id of each worker as it starts; for drills. */
  readonly onWorker?: (tenant: string, pid: number) => void;
  /** How long after its deadline a worker may stay silent before its server is asked about it. @default 30_000 */
  readonly graceMs?: number;
  /** No further tenant is started once this is aborted; those under way go on. */
  readonly signal?: AbortSignal;
}

/**
 * Runs one wish on many tenants, each in a worker process of its own. A tenant that fails, or whose worker dies, never
 * stops another. Tenants whose turn comes after the deadline are `partial` without having been touched; a worker that is still
 * there well after it is ended, unless its server is at work for it.
 *
 * @returns one result per job, in the order of the jobs
 * @throws {RangeError} concurrency out of range
 * @throws {AggregateError} what `onResult` threw, after all tenants are finished
 */
export async function runTenants(
  kind: JobKind,
  jobs: readonly TenantJob[],
  options: PoolOptions,
): Promise<TenantResult[]> {
  const { concurrency } = options;
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 64) {
    throw new RangeError(`concurrency is ${concurrency}; allowed are whole numbers from 1 to 64`);
  }
  const limit = pLimit(concurrency);
  const faults: unknown[] = [];
  const results = await Promise.all(
    jobs.map((job) =>
      limit(async () => {
        const result = await runTenant(kind, job, options);
        try {
          await options.onResult?.(result);
        } catch (error) {
          faults.push(error);
        }
        return result;
      }),
    ),
  );
  if (faults.length > 0) {
    const reasons = faults.map((fault) => (fault instanceof Error ? fault.message : String(fault)));
    throw new AggregateError(faults, `after ${kind}: ${reasons.join("; ")}`);
  }
  return results;
}

/**
 * Each row makes a cipher with memory outside of V8's heap, and each chunk 8 MiB of buffers. A small young generation frees
 * them soon, few malloc arenas return them; with thresholds of its own malloc does not learn from the first large buffers to
 * keep what is freed. Peaks that were measured: 128 MiB with 100,000 rows, 149 MiB with 2,000,000; without the thresholds 181
 * MiB, without all three 302 MiB with 800,000.
 */
const frugal = {
  execArgv: ["--max-semi-space-size=1"],
  env: { MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: "131072", MALLOC_TRIM_THRESHOLD_: "65536" },
};

async function runTenant(kind: JobKind, job: TenantJob, options: PoolOptions): Promise<TenantResult> {
  if (options.signal?.aborted === true) return untouched(job.tenant, "partial", "not started: the run was stopped");
  if (Date.now() >= job.deadlineMs) return untouched(job.tenant, "partial", "not started: the run's time is over");
  const startedAt = performance.now();
  return new Promise<TenantResult>((resolve) => {
    let result: TenantResult | undefined;
    const worker = fork(join(import.meta.dirname, "worker.ts"), [], {
      execArgv: frugal.execArgv,
      env: { ...process.env, ...frugal.env },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    let overdue: string | undefined;
    const watch = watchOverdue(job, {
      graceMs: options.graceMs ?? 30_000,
      onOverdue: (reason) => {
        overdue = reason;
        worker.kill("SIGKILL");
      },
    });
    const seconds = (): number => Math.round(performance.now() - startedAt) / 1000;
    worker.once("error", (error) => {
      watch.abort();
      resolve({
        ...untouched(job.tenant, "failed", `its worker process did not start: ${error.message}`),
        seconds: seconds(),
      });
    });
    worker.on("message", (message) => {
      const report = message as WorkerReport;
      if ("result" in report) result = report.result;
      else options.onProgress?.(report.progress);
    });
    worker.once("exit", (code, signal) => {
      watch.abort();
      const ended = overdue ?? `its worker process ended with ${signal ?? `code ${code}`} before it could report`;
      const reason = `${ended}; what was committed is in the ledger, the next run goes on`;
      resolve(result ?? { ...untouched(job.tenant, "failed", reason), seconds: seconds() });
    });
    if (worker.pid !== undefined) options.onWorker?.(job.tenant, worker.pid);
    worker.send({ kind, job } satisfies WorkerOrder, () => {}); // a failure is reported by the events above
  });
}
