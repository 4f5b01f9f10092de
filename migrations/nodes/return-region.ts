import pLimit from "p-limit";
import { runTenants } from "../mirror/pool.ts";
import { type TenantJob, untouched } from "../mirror/job.ts";
import { withoutRows } from "../postgres/errors.ts";
import type { Registry } from "../registry/registry.ts";
import { readWhereabouts } from "../tenant-state.ts";
import type { RegionTarget, ReleaseTarget, WaveInputs } from "../wave-inputs.ts";
import type { WaveMember } from "./wave-members.ts";

/** Why a region's registry does not answer; undefined when it does. */
export const findFault = (registry: Registry): Promise<string | undefined> =>
  registry.tenants.list({ ids: [] }).then(
    () => undefined,
    (error: unknown) => withoutRows(error).message,
  );

/** What a region leaves, and for what. */
export interface Returning {
  readonly inputs: Pick<WaveInputs, "environment" | "release" | "back" | "releaseRoles" | "concurrency">;
  readonly region: RegionTarget;
  readonly registry: Registry;
}

/** Takes those members of one region back that have moved. @returns where the region stands now, in one line */
export async function returnRegion(
  members: readonly WaveMember[],
  { inputs, region, registry }: Returning,
): Promise<string> {
  const fault = await findFault(registry);
  if (fault !== undefined) return behind(region, [fault]);
  const lost: string[] = [];
  const jobs = await pLimit(visitsAtOnce).map([...members], async ({ tenant }): Promise<TenantJob[]> => {
    try {
      if ((await readWhereabouts(tenant, region))?.pin !== inputs.release.pin) return [];
    } catch (error) {
      lost.push(`${tenant.id}: ${withoutRows(error).message}`);
      return [];
    }
    const to = originOf(tenant, inputs);
    if (to === undefined) {
      lost.push(`${tenant.id}: back is none for this wave`);
      return [];
    }
    const { environment, release, releaseRoles } = inputs;
    // Its own time: authority must not stay divided because the way forward has used up the update's.
    const deadlineMs = Date.now() + takeBackSeconds * 1000;
    const place = { environment, tenant: tenant.id, database: tenant.database, region };
    return [{ ...place, release: to, back: release, releaseRoles, deadlineMs }];
  });
  const moved = jobs.flat();
  const targets = new Map(moved.map(({ tenant, release }) => [tenant, release]));
  const results = await runTenants("cutover", moved, {
    concurrency: inputs.concurrency,
    onResult: async ({ tenant, status }) => {
      const to = targets.get(tenant);
      if (status === "done" && to !== undefined) await registry.routes.point([tenant], { release: to.id, pin: to.pin });
    },
  }).catch((error: unknown) => moved.map(({ tenant }) => untouched(tenant, "failed", withoutRows(error).message)));
  for (const { tenant, status, reason } of results)
    if (status !== "done") lost.push(`${tenant}: ${reason ?? "no reason given"}`);
  if (lost.length > 0) return behind(region, lost);
  return `region ${region.name}: ${moved.length} tenants were taken back, all ${members.length} are where they were`;
}

/** Where a member was before the wave moved: on another content of the same release, or on `back`. */
function originOf(
  { release: id, pin }: WaveMember["tenant"],
  { release, back }: Returning["inputs"],
): ReleaseTarget | undefined {
  if (id !== release.id || pin === undefined || pin === release.pin) return back;
  return { ...release, pin, hash: pin.slice(pin.indexOf("@") + 1) };
}

function behind({ name }: RegionTarget, reasons: readonly string[]): string {
  const more = reasons.length > 5 ? ` and ${reasons.length - 5} more` : "";
  return `region ${name} is behind, the next update moves it first: ${reasons.slice(0, 5).join("; ")}${more}`;
}

/** Databases asked side by side. */
const visitsAtOnce = 8;
/** The promise of a rollback. */
const takeBackSeconds = 900;
