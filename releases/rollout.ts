import type { Environment } from "./environment.ts";
import { getRelease, allReleases } from "./catalog.ts";
import { parsePin } from "./pin.ts";
import type { Release } from "./release.ts";
import { releaseTarget, type ReleaseTarget } from "./target.ts";
import { type TrafficPlan, trafficPlanOf } from "./traffic-plan.ts";

/** What an environment's pins come to. Pure: the same stack file gives the same rollout. */
export interface Rollout {
  /** Every release that is a `now` or a `back` of a wave, oldest first: these fleets run side by side. */
  readonly fleets: readonly { readonly release: Release; readonly target: ReleaseTarget }[];
  readonly waves: readonly {
    readonly name: string;
    readonly selector: Environment["waves"][number]["selector"];
    readonly target: ReleaseTarget;
    readonly back?: ReleaseTarget;
    /** Mirrors to take to their end position. */
    readonly finalize: readonly string[];
  }[];
  /** All releases of the catalog: each has a database role, so that a fence can name it. */
  readonly targets: readonly ReleaseTarget[];
  /** Releases in the catalog whose services log in to Vault. */
  readonly vaultReleases: readonly string[];
  /** Flags that the newest pinned release wants on, and those it wants off or does not know. */
  readonly flagsOn: readonly string[];
  readonly flagsOff: readonly string[];
  /** Where requests without a tenant go. */
  readonly traffic: TrafficPlan;
}

/** The rollout of a parsed environment: its pins have been checked against the catalog. */
export function rolloutOf(environment: Environment): Rollout {
  const waves = environment.waves.map(({ name, selector }) => {
    const pin = environment.pins[name];
    if (pin === undefined) throw new Error(`wave ${name} has no pin; add pins.${name} to the stack file`);
    const back = pin.back === "none" ? undefined : getRelease(parsePin(pin.back).id);
    return {
      name,
      selector,
      release: getRelease(parsePin(pin.now).id),
      backRelease: back,
      target: releaseTarget(getRelease(parsePin(pin.now).id)),
      ...(back === undefined ? {} : { back: releaseTarget(back) }),
      finalize: environment.finalize?.[name] ?? [],
    };
  });
  const named = waves.flatMap((wave) => [wave.release, ...(wave.backRelease === undefined ? [] : [wave.backRelease])]);
  const fleets = allReleases().filter((release) => named.includes(release));
  const flags = allReleases().flatMap((release) => release.flags.map((flag) => flag.key));
  const newest = allReleases().findLast((release) => waves.some((wave) => wave.release === release));
  const flagsOn = (newest?.flags ?? []).filter((flag) => flag.isOn).map((flag) => flag.key);
  return {
    fleets: fleets.map((release) => ({ release, target: releaseTarget(release) })),
    waves: waves.map(({ release: _release, backRelease: _back, ...wave }) => wave),
    targets: allReleases().map(releaseTarget),
    vaultReleases: allReleases()
      .filter((release) => release.vault.isNeeded)
      .map((release) => release.id),
    flagsOn,
    flagsOff: [...new Set(flags)].filter((flag) => !flagsOn.includes(flag)),
    traffic: trafficPlanOf(fleets),
  };
}
