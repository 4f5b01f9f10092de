import { findMisplaced } from "../registry/residency.ts";
import type { Registry } from "../registry/registry.ts";
import { findWave } from "../registry/selector.ts";
import type { RegionTarget, WaveInputs } from "../wave-inputs.ts";
import type { Refusal } from "./node.ts";
import { goesBack } from "./wave-members.ts";

/**
 * Tenants of the wave that would be moved where they do not belong, or that no region's wave would see. The way back moves
 * nobody to another region, so it is never refused for this.
 */
export async function residencyRefusals(
  inputs: WaveInputs,
  registries: ReadonlyMap<RegionTarget, Registry>,
): Promise<Refusal[]> {
  const residency = inputs.residency ?? [];
  if (goesBack(inputs) || (registries.size === 1 && residency.length === 0)) return [];
  const rows = await Promise.all(
    [...registries].map(async ([region, registry]) => ({
      region: region.name,
      tenants: await registry.projection.overview(),
    })),
  );
  const mine = [...findMisplaced(rows, residency).values()].filter(
    ({ tenant }) => findWave(inputs.waves, tenant)?.name === inputs.wave && tenant.pin !== inputs.release.pin,
  );
  return mine.map(({ reason }) => ({ property: "regions", reason }));
}
