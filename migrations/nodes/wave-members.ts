import { stateOf } from "../postgres/errors.ts";
import { resolveReference } from "../reference.ts";
import type { TenantOverview } from "../registry/projection.ts";
import { registryUrl } from "../registry/registry-session.ts";
import { Registry } from "../registry/registry.ts";
import { membersOf } from "../registry/selector.ts";
import type { RegionTarget, WaveInputs } from "../wave-inputs.ts";

/** A tenant of the wave, with where it lives. */
export interface WaveMember {
  readonly tenant: TenantOverview;
  readonly region: RegionTarget;
}

/** Registries of all regions of some inputs, open while `work` runs. */
export async function withRegistries<T>(
  inputs: { readonly regions: readonly RegionTarget[] },
  options: { readonly isReadOnly: boolean },
  work: (registries: ReadonlyMap<RegionTarget, Registry>) => Promise<T>,
): Promise<T> {
  const registries = new Map(
    inputs.regions.map((region) => [region, new Registry(registryUrl(resolveReference(region.postgresUrl)), options)]),
  );
  try {
    return await work(registries);
  } finally {
    await Promise.all([...registries.values()].map((registry) => registry.close()));
  }
}

/** Who belongs to a wave. */
export interface WholeWave {
  readonly active: readonly WaveMember[];
  /** In maintenance: left alone, but they need their release's fleet when they come back. */
  readonly suspended: readonly WaveMember[];
}

/** Tenants of the wave over all regions: one query a region. */
export async function readWholeWave(
  inputs: Pick<WaveInputs, "wave" | "waves">,
  registries: ReadonlyMap<RegionTarget, Registry>,
): Promise<WholeWave> {
  const regions = await Promise.all(
    [...registries].map(async ([region, registry]) => {
      const found = membersOf(inputs.waves, await registry.projection.overview(region.name));
      const among = (waves: typeof found.waves) =>
        (waves.get(inputs.wave) ?? []).map((tenant): WaveMember => ({ tenant, region }));
      return { active: among(found.waves), suspended: among(found.suspended) };
    }),
  );
  return { active: regions.flatMap(({ active }) => active), suspended: regions.flatMap((one) => one.suspended) };
}

/** Active tenants of the wave over all regions: one query a region. */
export async function readMembers(
  inputs: Pick<WaveInputs, "wave" | "waves">,
  registries: ReadonlyMap<RegionTarget, Registry>,
): Promise<readonly WaveMember[]> {
  return (await readWholeWave(inputs, registries)).active;
}

/**
 * Whether the pin is older than the release that the wave comes from. Then the wave is leaving something that is broken,
 * and a tenant that cannot go must not keep the others there.
 */
export function goesBack({ back, release }: Pick<WaveInputs, "back" | "release">): boolean {
  return back !== undefined && back.number > release.number;
}

/** True when the platform has not been made yet: no registry database, no tables, no reading role. */
export function isPlatformAbsent(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) if (absent.has(stateOf(at) ?? "")) return true;
  return false;
}

/** Database, schema, table or column absent; role absent (as a start-up option it is an invalid value, 22023). */
const absent = new Set(["3D000", "3F000", "42P01", "42703", "22023", "42704"]);
