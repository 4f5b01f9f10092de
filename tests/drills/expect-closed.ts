import type { TenantResult } from "../../migrations/mirror/job.ts";

/** It failed, for this reason, and said nothing of what any row holds. */
export function assertClosed(result: TenantResult | undefined, reason: RegExp): void {
  if (result?.status !== "failed")
    throw new Error(`the run ended ${result?.status ?? "without a report"}, it should have failed`);
  if (!reason.test(result.reason ?? "")) throw new Error(`the reason is: ${result.reason}`);
  if (/forged secret|secret-literal|lorem|base (prompt|message)/.test(JSON.stringify(result)))
    throw new Error("the report quotes a row");
}
