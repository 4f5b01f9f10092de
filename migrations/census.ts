import { censusLines } from "./census-lines.ts";
import { type MirrorCensus, type RateOf, settledMember } from "./member-census.ts";
import type { Obstacle } from "./mirror/preflight.ts";
import { readMembers, withRegistries, type WaveMember } from "./nodes/wave-members.ts";
import type { TenantState } from "./registry/projection.ts";
import { lookAtMembers } from "./visits.ts";
import type { WaveInputs } from "./wave-inputs.ts";

/** What a wave would move, counted in the tenants' own databases. */
export interface WaveCensus {
  readonly tenants: number;
  /** Tenants that the pinned release does not serve yet. */
  readonly moving: number;
  readonly dirty: number;
  readonly mirrors: readonly MirrorCensus[];
  /** Whatever is in here has to be mended before the wave can go. */
  readonly obstacles: readonly Obstacle[];
}

/**
 * Counts what a wave would move. Tenants are visited only where the registry does not know that they are at their end;
 * for the others its copy of their ledger stands. Read-only sessions with the reading role; Vault is not asked.
 *
 * @throws {PostgresError} the registry cannot be reached
 * @throws {Error} naming the tenant whose database cannot be read
 */
export async function countWave(inputs: WaveInputs): Promise<WaveCensus> {
  return withRegistries(inputs, { isReadOnly: true }, async (registries) => {
    const members = await readMembers(inputs, registries);
    const known = (await Promise.all([...registries.values()].map((registry) => registry.projection.list()))).flat();
    const rates = meanRates(known);
    return countMembers(inputs, members, (mirror) => rates.get(mirror));
  });
}

function meanRates(states: readonly TenantState[]): ReadonlyMap<string, number> {
  const measured = states.filter(({ rateRowsPerS }) => rateRowsPerS !== undefined);
  return new Map(
    Object.entries(Object.groupBy(measured, ({ mirror }) => mirror)).map(([mirror, group = []]) => [
      mirror,
      group.reduce((sum, { rateRowsPerS = 0 }) => sum + rateRowsPerS, 0) / group.length,
    ]),
  );
}

/** `countWave` for members that are known already. */
export async function countMembers(
  inputs: WaveInputs,
  members: readonly WaveMember[],
  rateOf: RateOf,
): Promise<WaveCensus> {
  const settled = members.map((member) => settledMember(inputs, member, rateOf));
  const open = members.filter((_, index) => settled[index] === undefined);
  const visits = [...settled.filter((one) => one !== undefined), ...(await lookAtMembers(inputs, open, rateOf))].map(
    (visit) => {
      if (visit instanceof Error) throw visit;
      return visit;
    },
  );
  return {
    tenants: members.length,
    moving: members.filter(({ tenant }) => tenant.pin !== inputs.release.pin).length,
    dirty: visits.reduce((total, one) => total + one.dirty, 0),
    mirrors: visits.flatMap((one) => one.mirrors),
    obstacles: visits.flatMap((one) => one.obstacles),
  };
}

/** The census as lines for the preview of a wave's node, whose own check names what is in the way. */
export async function describeWave(inputs: WaveInputs): Promise<string[]> {
  return censusLines(inputs, { ...(await countWave(inputs)), obstacles: [] });
}
