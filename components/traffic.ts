import type * as pulumi from "@pulumi/pulumi";
import { Traffic, type TrafficArgs } from "../migrations/traffic.ts";
import type { RegionTarget } from "../migrations/wave-inputs.ts";
import type { Environment } from "../releases/environment.ts";
import type { Rollout } from "../releases/rollout.ts";

export interface TrafficPlatform {
  readonly environment: Environment;
  readonly rollout: Rollout;
  readonly regions: readonly RegionTarget[];
  readonly releaseRoles: readonly string[];
  readonly concurrency: number;
}

/** How an environment's requests without a tenant are shared out. */
export interface SharedTraffic {
  /** What the cutovers wait for; undefined: the release comes all at once. */
  readonly proof: { readonly pin: string; readonly percent: number } | undefined;
  /** One of the two nodes. Its name is for ever. @param after resources whose work comes before; all of them migration nodes */
  share(phase: "canary" | "flip", after: readonly pulumi.CustomResource[]): readonly Traffic[];
}

/** The traffic of an environment; undefined when its stack file names nobody who shares it out. */
export function trafficOf(
  { environment, rollout, regions, releaseRoles, concurrency }: TrafficPlatform,
  opts: pulumi.ComponentResourceOptions,
): SharedTraffic | undefined {
  const { name, traffic: carrier, metrics } = environment;
  if (carrier === undefined) return undefined;
  const { newer, older, paths, steps } = rollout.traffic;
  const clusters = new Map(environment.regions.map((region) => [region.name, region.cluster]));
  const args: Omit<TrafficArgs, "phase"> = {
    environment: name,
    regions: regions.map((region) => {
      const cluster = clusters.get(region.name);
      return { ...region, ...(cluster === undefined ? {} : { cluster }) };
    }),
    waves: rollout.waves.map(({ name: wave, selector, target: release, back }) => ({
      name: wave,
      selector,
      release,
      ...(back === undefined ? {} : { back }),
    })),
    newer,
    ...(older === undefined ? {} : { older }),
    paths,
    steps,
    ...(metrics === undefined ? {} : { metrics: metrics.url }),
    carrier,
    releaseRoles,
    concurrency,
  };
  const last = steps.findLast(({ percent }) => percent < 100);
  return {
    proof: last === undefined ? undefined : { pin: newer.pin, percent: last.percent },
    share: (phase, after) => [new Traffic(`${name}-${phase}`, { ...args, phase }, { ...opts, dependsOn: [...after] })],
  };
}
