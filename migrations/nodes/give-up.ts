import { withoutRows } from "../postgres/errors.ts";
import type { Registry } from "../registry/registry.ts";
import type { TrafficInputs } from "../traffic.ts";
import type { MetricJudgement } from "../traffic/metric-gate.ts";
import type { RegionTarget } from "../wave-inputs.ts";
import { returnRegion } from "./return-region.ts";
import { readMembers } from "./wave-members.ts";

/** Why a release is given up. */
export interface Verdict {
  /** Share that it had. */
  readonly percent: number;
  readonly judged: readonly MetricJudgement[];
  /** Gives its share to the release before. */
  readonly takeBack: () => Promise<void>;
}

/**
 * A gate has refused a release while it got traffic: the hold is written, its share and the authority of all its tenants go
 * back, and the reasons are thrown with the patch for the stack file. What cannot be returned is named, and keeps nothing else.
 * @throws always
 */
export async function giveUp(
  inputs: TrafficInputs,
  registries: ReadonlyMap<RegionTarget, Registry>,
  { percent, judged, takeBack }: Verdict,
): Promise<never> {
  const { environment, newer, older } = inputs;
  const [home] = registries.values();
  const refused = judged.filter(({ outcome }) => outcome === "no-go").map(({ id }) => id);
  const why = `${refused.join(", ")} at ${percent} percent of the traffic`;
  const hold = await home?.holds.place({ environment, hashes: [newer.hash], who: "traffic", why }).then(
    () => `${newer.pin} is held`,
    (error: unknown) => `no hold could be written (${withoutRows(error).message}): coordinator hold`,
  );
  const traffic = await takeBack().then(
    () => `all of it is with ${older?.id ?? "nobody"} again`,
    (error: unknown) => `it could not be returned everywhere: ${withoutRows(error).message}`,
  );
  const standing = await returnWaves(inputs, registries);
  throw new Error(
    [
      `traffic to ${newer.pin} is given up at ${percent} percent:`,
      ...judged.map(({ text }) => `  ${text}`),
      `  traffic: ${traffic}`,
      ...standing.map((line) => `  ${line}`),
      `${hold}; the stack file still pins it: merge this patch, or coordinator rollback ${environment}`,
      ...patchOf(inputs).map((line) => `  ${line}`),
    ].join("\n"),
  );
}

/** Every tenant on the release returns to its wave's `back`. @returns where each region stands, a line each */
async function returnWaves(
  inputs: TrafficInputs,
  registries: ReadonlyMap<RegionTarget, Registry>,
): Promise<readonly string[]> {
  const { environment, releaseRoles, concurrency } = inputs;
  const waves = inputs.waves.map(({ name, selector }) => ({ name, selector }));
  const lines: string[] = [];
  // The last wave that moved is the first to return.
  for (const { name, release, back } of inputs.waves.toReversed()) {
    if (release.pin !== inputs.newer.pin) continue;
    const pair = { environment, release, releaseRoles, concurrency, ...(back === undefined ? {} : { back }) };
    for (const [region, registry] of registries) {
      const line = await readMembers({ wave: name, waves }, new Map([[region, registry]])).then(
        (members) => returnRegion(members, { inputs: pair, region, registry }),
        (error: unknown) => `region ${region.name} is behind: ${withoutRows(error).message}`,
      );
      lines.push(`wave ${name}, ${line}`);
    }
  }
  return lines;
}

/** The lines of the stack file that pin what runs now. */
function patchOf({ environment, waves, newer }: TrafficInputs): readonly string[] {
  const turned = waves.filter(({ release, back }) => release.pin === newer.pin && back !== undefined);
  return [
    `Pulumi.${environment}.yaml, pins:`,
    ...turned.map(({ name, release, back }) => `  ${name}: { now: ${back?.pin}, back: ${release.pin} }`),
  ];
}
