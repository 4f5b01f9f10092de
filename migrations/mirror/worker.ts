import { tenantJobs } from "./engine.ts";
import { reached } from "./fault-point.ts";
import type { JobKind, TenantJob, TenantResult } from "./job.ts";
import type { TenantProgress } from "./progress.ts";

/** What the pool sends to a worker: one job, once. */
export interface WorkerOrder {
  readonly kind: JobKind;
  readonly job: TenantJob;
}

/** What a worker sends to the pool: progress any number of times, the result once and last. */
export type WorkerReport = { readonly progress: TenantProgress } | { readonly result: TenantResult };

/**
 * Entry of a child process that does one job for one tenant and ends. A process of its own, so that a tenant that
 * exhausts memory or crashes takes nobody with it. Without its parent it ends at once: whoever stopped the update wants
 * the tenant's lock, and the ledger has everything.
 */
function main(): void {
  process.once("disconnect", () => process.exit(1));
  process.once("message", (order: WorkerOrder) => {
    // Nobody there to hear of progress is no failure: see "disconnect".
    const tell = (progress: TenantProgress): void =>
      void process.send?.({ progress } satisfies WorkerReport, undefined, undefined, () => {});
    void tenantJobs[order.kind](order.job, tell).then(async (result) => {
      await reached("state.return");
      process.send?.({ result } satisfies WorkerReport, () => process.exit(0));
    });
  });
}

if (process.argv[1] === import.meta.filename) main();
