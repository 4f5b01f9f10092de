import { allReleases } from "./catalog.ts";
import type { Release } from "./release.ts";
import { releaseTarget } from "./target.ts";
import type { ReleaseTarget } from "./target.ts";
import type { Traffic } from "./traffic.ts";

/** A gate of a step with what it asks; plain JSON, so that it can be the input of a node. */
export interface MetricGate {
  readonly id: string;
  readonly title: string;
  readonly query: string;
  readonly compare: "at-most" | "at-least";
  readonly value: number;
  readonly unit: string;
}

/** Where requests without a tenant go, as far as pins alone say it; how far they have come stands in the registry. */
export interface TrafficPlan {
  /** The newest release of the pins, and the one beside it. */
  readonly newer: ReleaseTarget;
  readonly older?: ReleaseTarget;
  readonly paths: Traffic["paths"];
  readonly steps: readonly {
    readonly percent: number;
    readonly soakMinutes: number;
    readonly gates: readonly MetricGate[];
  }[];
}

/**
 * The plan of the releases that stand side by side, oldest first. A release that names no traffic takes over the paths of the
 * newest one before it that does, and gets all of it at once.
 */
export function trafficPlanOf(fleets: readonly Release[], releases = allReleases()): TrafficPlan {
  const newer = fleets.at(-1);
  if (newer === undefined) throw new Error("no wave pins a release; add pins to the stack file");
  const older = fleets.at(-2);
  const known = releases.slice(0, releases.indexOf(newer) + 1);
  const steps = newer.traffic?.steps ?? [{ percent: 100, soakMinutes: 0, gates: [] }];
  return {
    newer: releaseTarget(newer),
    ...(older === undefined ? {} : { older: releaseTarget(older) }),
    paths: known.findLast(({ traffic }) => traffic !== undefined)?.traffic?.paths ?? [],
    steps: steps.map((step) => ({
      percent: step.percent,
      soakMinutes: step.soakMinutes,
      gates: step.gates.map((id) => metricGateOf(newer, id)),
    })),
  };
}

function metricGateOf(release: Release, id: string): MetricGate {
  const gate = release.gates.find((each) => each.id === id);
  if (gate?.query === undefined || gate.limit === undefined)
    throw new Error(`${release.id} has no gate ${id} with query and limit; mend releases/${release.id}.ts`);
  const query = gate.query.replaceAll("{release}", release.id);
  return { id, title: gate.title, query, ...gate.limit };
}
