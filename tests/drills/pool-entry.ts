import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { JobKind, TenantJob, TenantResult } from "../../migrations/mirror/job.ts";
import type { runTenants } from "../../migrations/mirror/pool.ts";

/** What a pool process is to do, once. */
export interface PoolOrder {
  readonly migrationsFolder: string;
  readonly kind: JobKind;
  readonly job: TenantJob;
  /** Heap of the worker, MiB; what Node takes by itself when left out. */
  readonly workerHeapMib?: number;
}

/** What it tells: the worker's process id as it starts, and how the worker ended. */
export type PoolReport = { readonly workerPid: number } | { readonly result: TenantResult };

// Entry of a process that runs the engine's pool as the provider does: it forks the worker and waits for it.
process.once("message", (order: PoolOrder) => {
  void (async () => {
    const path = join(order.migrationsFolder, "mirror", "pool.ts");
    const pool = (await import(pathToFileURL(path).href)) as { runTenants: typeof runTenants };
    if (order.workerHeapMib !== undefined)
      process.env["NODE_OPTIONS"] = `--max-old-space-size=${order.workerHeapMib} --max-semi-space-size=1`;
    const [result] = await pool.runTenants(order.kind, [order.job], {
      concurrency: 1,
      onWorker: (_tenant, workerPid) => process.send?.({ workerPid } satisfies PoolReport),
    });
    if (result !== undefined) process.send?.({ result } satisfies PoolReport, () => process.exit(0));
  })();
});
