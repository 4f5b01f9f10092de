import { type TenantResult, untouched } from "../mirror/job.ts";
import { withoutRows } from "../postgres/errors.ts";
import type { Registry } from "../registry/registry.ts";
import type { RegionTarget, WaveInputs } from "../wave-inputs.ts";
import { findFault, returnRegion } from "./return-region.ts";
import type { WaveMember } from "./wave-members.ts";

/** What regions that move together have in common. */
export interface Lockstep {
  readonly inputs: WaveInputs;
  readonly registries: ReadonlyMap<RegionTarget, Registry>;
  /** Moves some members forward, a result each. What it throws counts against the regions that do not answer then. */
  readonly move: (members: readonly WaveMember[]) => Promise<readonly TenantResult[]>;
}

/**
 * The steps of a wave's cutover, each a list of members: first one tenant of every region, then all others. A step begins
 * in no region before the one before it has ended well in all of them.
 */
export function stepsOf(members: readonly WaveMember[]): readonly (readonly WaveMember[])[] {
  const first = new Map<RegionTarget, WaveMember>();
  for (const member of members) if (!first.has(member.region)) first.set(member.region, member);
  const others = members.filter((member) => first.get(member.region) !== member);
  return [[...first.values()], others].filter((step) => step.length > 0);
}

/**
 * Moves the members of all regions forward, step by step. A failure anywhere takes every region back: a hold on the pinned
 * release is written, then each member that has moved returns to where it was, and the reasons are thrown. A region that
 * is lost midway is named as behind; the next update finds its members away from their pin and moves them first.
 *
 * @returns results of all members when nothing has failed; partial ones when time was over or somebody asked for the end
 * @throws {Error} the failures, where each region stands now, and the mend
 */
export async function moveInLockstep(
  members: readonly WaveMember[],
  lockstep: Lockstep,
): Promise<readonly TenantResult[]> {
  const results: TenantResult[] = [];
  for (const step of stepsOf(members)) {
    const ended = await lockstep.move(step).catch((error: unknown) => blame(step, lockstep, error));
    results.push(...ended);
    const failed = ended.filter(({ status }) => status === "failed");
    if (failed.length > 0) return takeBack(members, failed, lockstep);
    if (ended.every(({ status }) => status === "done")) continue;
    // The time is over, or somebody asked for the end: the next update begins with this step again.
    const begun = new Set(results.map(({ tenant }) => tenant));
    const others = members.filter(({ tenant }) => !begun.has(tenant.id));
    return [
      ...results,
      ...others.map(({ tenant }) => untouched(tenant.id, "partial", "not started: the step before has not ended")),
    ];
  }
  return results;
}

/** Failures of the members whose region does not answer, or of all of them when every region does. */
async function blame(
  step: readonly WaveMember[],
  { registries }: Lockstep,
  error: unknown,
): Promise<readonly TenantResult[]> {
  const faults = new Map<RegionTarget, string>();
  for (const [region, registry] of registries) {
    const fault = await findFault(registry);
    if (fault !== undefined) faults.set(region, fault);
  }
  const guilty = faults.size === 0 ? step : step.filter(({ region }) => faults.has(region));
  return (guilty.length === 0 ? step : guilty).map(({ tenant, region }) =>
    untouched(tenant.id, "failed", faults.get(region) ?? withoutRows(error).message),
  );
}

/** Every region returns as far as it can be reached. @throws always */
async function takeBack(
  members: readonly WaveMember[],
  failed: readonly TenantResult[],
  { inputs, registries }: Lockstep,
): Promise<never> {
  const { environment, wave, release, back } = inputs;
  const regionOf = new Map(members.map(({ tenant, region }) => [tenant.id, region.name]));
  const where = [...new Set(failed.map(({ tenant }) => regionOf.get(tenant)))].join(", ");
  const [home] = registries.values();
  const why = `its cutover failed in ${where}, every region was taken back`;
  const hold = await home?.holds.place({ environment, wave, hashes: [release.hash], who: "cutover", why }).then(
    () => `${release.pin} is held for this wave`,
    (error: unknown) => `no hold could be written (${withoutRows(error).message}): coordinator hold`,
  );
  const standing = await Promise.all(
    [...registries].map(([region, registry]) =>
      returnRegion(
        members.filter((member) => member.region === region),
        { inputs, region, registry },
      ),
    ),
  );
  throw new Error(
    [
      `wave ${wave}, cutover to ${release.pin}: ${failed.length} of ${members.length} tenants failed in ${where}, so every region goes back:`,
      ...failed.map(({ tenant, reason }) => `  ${tenant} (${regionOf.get(tenant)}): ${reason ?? "no reason given"}`),
      ...standing.map((line) => `  ${line}`),
      `${hold}; mend the reasons, then coordinator promote ${release.id} --env ${environment}, ` +
        `or stay on ${back?.pin ?? "what runs"}: coordinator rollback ${environment}`,
    ].join("\n"),
  );
}
