import { runTenants } from "../mirror/pool.ts";
import type { TenantJob, TenantResult } from "../mirror/job.ts";
import type { RegionTarget, WaveInputs } from "../wave-inputs.ts";
import type { Registry } from "../registry/registry.ts";
import { readTenantState } from "../tenant-state.ts";
import type { NodeOutcome } from "./node.ts";
import type { WaveMember } from "./wave-members.ts";

/**
 * Runs one job for each tenant, some at a time, each in a process of its own; tells the registry as each one ends, so
 * that a killed update has lost no news. One tenant's failure never stops another.
 */
export async function runWave(
  kind: WaveInputs["kind"],
  inputs: WaveInputs,
  members: readonly WaveMember[],
  registries: ReadonlyMap<RegionTarget, Registry>,
  onEnd: (member: WaveMember, result: TenantResult) => Promise<void> = async () => {},
): Promise<readonly TenantResult[]> {
  const deadlineMs = Date.now() + inputs.deadlineSeconds * 1000;
  const byTenant = new Map(members.map((member) => [member.tenant.id, member]));
  const [home] = registries.values();
  const note = (status: "running" | "partial" | "done" | "failed") =>
    home?.waveSteps.record({
      environment: inputs.environment,
      wave: inputs.wave,
      pin: inputs.release.pin,
      step: kind,
      status,
    });
  await note("running");
  const jobs = members.map(({ tenant, region }): TenantJob => ({
    environment: inputs.environment,
    tenant: tenant.id,
    database: tenant.database,
    region,
    release: inputs.release,
    ...(inputs.back === undefined ? {} : { back: inputs.back }),
    releaseRoles: inputs.releaseRoles,
    mirrors: inputs.mirrors ?? [],
    deadlineMs,
  }));
  const results = await runTenants(kind, jobs, {
    concurrency: inputs.concurrency,
    onResult: async (result) => {
      const member = byTenant.get(result.tenant);
      if (member === undefined) return;
      await onEnd(member, result);
      const states = await readTenantState(member.tenant, member.region);
      const rateRowsPerS = result.copiedRows > 0 ? result.copiedRows / result.seconds : undefined;
      await registries.get(member.region)?.projection.record(states.map((state) => ({ ...state, rateRowsPerS })));
    },
  });
  const failed = results.some((result) => result.status === "failed");
  const partial = results.some((result) => result.status === "partial");
  await note(failed ? "failed" : partial ? "partial" : "done");
  return results;
}

/** @throws when tenants failed, naming each with its reason; the others have been moved */
export function refuseFailures(kind: WaveInputs["kind"], inputs: WaveInputs, results: readonly TenantResult[]): void {
  const failed = results.filter((result) => result.status === "failed");
  if (failed.length === 0) return;
  throw new Error(
    `wave ${inputs.wave}, ${kind} to ${inputs.release.pin}: ${failed.length} of ${results.length} tenants failed, ` +
      `the others are done; mend the reasons and run the update again:\n` +
      failed.map((result) => `  ${result.tenant}: ${result.reason ?? "no reason given"}`).join("\n"),
  );
}

/** The outcome of a wave node: `epoch` changes when a tenant moved. */
export function outcomeOf(kind: WaveInputs["kind"], inputs: WaveInputs, results: readonly TenantResult[]): NodeOutcome {
  const partial = results.filter((result) => result.status === "partial").length;
  const rows = results.reduce((sum, result) => sum + result.copiedRows, 0);
  const locks = results.flatMap((result) => (result.lockMs === undefined ? [] : [result.lockMs]));
  const longest = locks.length === 0 ? "" : `, ${locks.length} flips, longest lock ${Math.ceil(Math.max(...locks))} ms`;
  const moved = rows > 0 ? `, ${rows} rows copied and compared` : "";
  return {
    status: partial > 0 ? "partial" : "done",
    summary: `${kind} to ${inputs.release.pin}: ${results.length - partial} of ${results.length} tenants${moved}${longest}`,
    epoch: `${inputs.release.pin} ${new Date().toISOString()}`,
  };
}
