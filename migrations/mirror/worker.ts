import { tenantJobs } from "./engine.ts";
import { reached } from "./fault-point.ts";
import type { JobKind, TenantJob } from "./job.ts";

/** What the pool sends to a worker: one job, once. */
export interface WorkerOrder {
  readonly kind: JobKind;
  readonly job: TenantJob;
}

/**
 * Entry of a child process that does one job for one tenant and ends. A process of its own, so that a tenant that
 * exhausts memory or crashes takes nobody with it. Without its parent it ends at once: whoever stopped the update wants
 * the tenant's lock, and the ledger has everything.
 */
function main(): void {
  process.once("disconnect", () => process.exit(1));
  process.once("message", (order: WorkerOrder) => {
    void tenantJobs[order.kind](order.job).then(async (result) => {
      await reached("state.return");
      process.send?.(result, () => process.exit(0));
    });
  });
}

if (process.argv[1] === import.meta.filename) main();
