import { runTenants } from "../mirror/pool.ts";
import type { TenantJob, TenantResult } from "../mirror/job.ts";
import type { RegionTarget, WaveInputs } from "../wave-inputs.ts";
import type { Registry } from "../registry/registry.ts";
import { readTenantState } from "../tenant-state.ts";
import { mayFail } from "./failure-budget.ts";
import type { NodeOutcome } from "./node.ts";
import type { Update } from "./update.ts";
import { type ShowLine, WaveProgress } from "./wave-progress.ts";
import { goesBack, isPlatformAbsent, readMembers, withRegistries, type WaveMember } from "./wave-members.ts";

/** What a node adds to the run of a wave. */
export interface WaveRunOptions {
  /** That the run is part of. */
  readonly update: Update;
  /** Results of members that are not run, because something before has failed for them. @default none */
  readonly without?: readonly TenantResult[];
  /** Called as each tenant ends, whatever became of it. */
  readonly onEnd?: (member: WaveMember, result: TenantResult) => Promise<void>;
  /** Shows how far the run is. @default nobody looks */
  readonly show?: ShowLine;
  /** Called when all have ended; the step counts as running until then. */
  readonly afterAll?: (results: readonly TenantResult[]) => Promise<readonly TenantResult[]>;
}

/**
 * Runs one job for each tenant, some at a time, each in a process of its own; tells the registry as each one ends, so
 * that a killed update has lost no news. One tenant's failure never stops another; a cancelled one stops the rest of the
 * update, since that is whose end the flag asks for.
 *
 * @returns results of all members, those of `without` included
 */
export async function runWave(
  kind: WaveInputs["kind"],
  inputs: WaveInputs,
  members: readonly WaveMember[],
  registries: ReadonlyMap<RegionTarget, Registry>,
  {
    update,
    without = [],
    onEnd = async () => {},
    show = () => {},
    afterAll = async (results) => results,
  }: WaveRunOptions,
): Promise<readonly TenantResult[]> {
  const deadlineMs = update.deadlineMs(inputs.deadlineSeconds);
  const left = new Set(without.map((result) => result.tenant));
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
  const running = members.filter(({ tenant }) => !left.has(tenant.id));
  const jobs = running.map(({ tenant, region }): TenantJob => ({
    environment: inputs.environment,
    tenant: tenant.id,
    database: tenant.database,
    region,
    release: inputs.release,
    ...(inputs.back === undefined ? {} : { back: inputs.back }),
    releaseRoles: inputs.releaseRoles,
    mirrors: inputs.mirrors ?? [],
    deadlineMs,
    updateStartedAtMs: update.startedAtMs,
  }));
  const progress = new WaveProgress(jobs.length, show);
  const ended = await runTenants(kind, jobs, {
    concurrency: inputs.concurrency,
    signal: update.signal,
    onProgress: (each) => progress.record(each),
    onResult: async (result) => {
      progress.end(result.tenant, result.status);
      if (result.isCancelled === true) update.cancel();
      const member = byTenant.get(result.tenant);
      if (member === undefined) return;
      await onEnd(member, result);
      const states = await readTenantState(member.tenant, member.region).catch((error: unknown) => {
        // The tenant has failed and its result says why; a second fault must not hide that.
        if (result.status === "failed") return [];
        throw error;
      });
      const rateRowsPerS = result.copiedRows > 0 ? result.copiedRows / result.seconds : undefined;
      await registries.get(member.region)?.projection.record(states.map((state) => ({ ...state, rateRowsPerS })));
    },
  });
  const results = await afterAll([...ended, ...without]);
  const failed = results.some((result) => result.status === "failed");
  const partial = results.some((result) => result.status === "partial");
  await note(failed ? "failed" : partial ? "partial" : "done");
  return results;
}

/** Whether an earlier run of this step has begun and not ended well, e.g. because it was killed. One query. */
async function isCutShort(inputs: WaveInputs, registries: ReadonlyMap<RegionTarget, Registry>): Promise<boolean> {
  const [home] = registries.values();
  const steps = (await home?.waveSteps.list(inputs.environment, inputs.release.pin)) ?? [];
  const step = steps.find((one) => one.wave === inputs.wave && one.step === inputs.kind);
  return step !== undefined && step.status !== "done";
}

/**
 * True when a node has something to do although its inputs are the same: a member is not where the node takes it, or the
 * last run was cut short. Where there is no platform yet, everything is still to do. Reads only.
 */
export async function isWaveUnfinished(
  inputs: WaveInputs,
  isDone: (inputs: WaveInputs, member: WaveMember) => boolean,
): Promise<boolean> {
  try {
    return await withRegistries(
      inputs,
      { isReadOnly: true },
      async (registries) =>
        (await readMembers(inputs, registries)).some((member) => !isDone(inputs, member)) ||
        (await isCutShort(inputs, registries)),
    );
  } catch (error) {
    if (isPlatformAbsent(error)) return true;
    throw error;
  }
}

/** @throws when more tenants failed on the way forward than may, naming each with its reason; the others have been moved */
function refuseFailures(kind: WaveInputs["kind"], inputs: WaveInputs, results: readonly TenantResult[]): void {
  const failed = results.filter((result) => result.status === "failed");
  if (failed.length <= mayFail(inputs, results.length)) return;
  throw new Error(
    `wave ${inputs.wave}, ${kind} to ${inputs.release.pin}: ${failed.length} of ${results.length} tenants failed, ` +
      `the others are done; mend the reasons and run the update again:\n` +
      failed.map((result) => `  ${result.tenant}: ${result.reason ?? "no reason given"}`).join("\n"),
  );
}

/** What a node says that was not begun. */
export const cancelledText = "the update was cancelled; the next one goes on";

/**
 * The outcome of a wave node: `epoch` changes when a tenant moved. On the way back failures end `partial`, named in the
 * summary: an error would stop the nodes and waves behind this one, and keep their tenants on what they have to leave. On the
 * way forward so do as many as the failure budget allows.
 *
 * @throws when more tenants failed on the way forward
 */
export function outcomeOf(kind: WaveInputs["kind"], inputs: WaveInputs, results: readonly TenantResult[]): NodeOutcome {
  if (!goesBack(inputs)) refuseFailures(kind, inputs, results);
  const partial = results.filter((result) => result.status !== "done").length;
  const reasons = results.flatMap(({ tenant, status, reason }) =>
    status === "failed" ? [`${tenant}: ${reason ?? "no reason given"}`] : [],
  );
  const failures = reasons.length === 0 ? "" : `; ${reasons.length} failed: ${reasons.join("; ")}`;
  const rows = results.reduce((sum, result) => sum + result.copiedRows, 0);
  const locks = results.flatMap((result) => (result.lockMs === undefined ? [] : [result.lockMs]));
  const longest = locks.length === 0 ? "" : `, ${locks.length} flips, longest lock ${Math.ceil(Math.max(...locks))} ms`;
  const moved = rows > 0 ? `, ${rows} rows copied and compared` : "";
  return {
    status: partial > 0 ? "partial" : "done",
    summary: `${kind} to ${inputs.release.pin}: ${results.length - partial} of ${results.length} tenants${moved}${longest}${failures}`,
    epoch: `${inputs.release.pin} ${new Date().toISOString()}`,
  };
}
