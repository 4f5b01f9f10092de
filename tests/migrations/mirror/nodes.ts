import { cutoverTenant, finalizeTenant, prepareTenant } from "../../../migrations/mirror/engine.ts";
import type { TenantResult } from "../../../migrations/mirror/job.ts";
import type { ReleaseTarget } from "../../../migrations/wave-inputs.ts";
import { contract, type TestTenant, undoContract } from "./tenant-fixture.ts";

/** The mirror of the tests. */
export const mirror = "prompt-encryption";

/** Position in the tenant's ledger. */
export async function positionOf(tenant: TestTenant): Promise<string> {
  const found = await tenant.admin.query<{ position: string }>("SELECT position FROM rc.mirror WHERE mirror = $1", [
    mirror,
  ]);
  return found.rows[0]?.position ?? "off";
}

/** The three nodes of a wave as the provider runs them, Alembic's part included; stops after `count` of them. */
export async function runNodes(
  tenant: TestTenant,
  release: ReleaseTarget,
  options: { count?: number; isFinalizeNamed?: boolean } = {},
): Promise<TenantResult[]> {
  const { count = 3, isFinalizeNamed = false } = options;
  const results: TenantResult[] = [];
  if (count >= 1) {
    if (release.sinkMirrors.length === 0 && (await positionOf(tenant)) === "retired") await undoContract(tenant);
    results.push(await prepareTenant(tenant.job(release)));
  }
  if (count >= 2) results.push(await cutoverTenant(tenant.job(release)));
  if (count >= 3) {
    results.push(await finalizeTenant(tenant.job(release, { mirrors: isFinalizeNamed ? [mirror] : [] })));
    if (isFinalizeNamed && (await positionOf(tenant)) === "retired") await contract(tenant);
  }
  const failed = results.find((result) => result.status !== "done");
  if (failed !== undefined) throw new Error(`a node ended ${failed.status}: ${failed.reason}`);
  return results;
}
