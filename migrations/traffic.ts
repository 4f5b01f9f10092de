import type * as pulumi from "@pulumi/pulumi";
import { MigrationResource } from "./migration-resource.ts";
import type { MetricGate } from "./traffic/metric-gate.ts";
import type { TrafficSplit } from "./traffic/split.ts";
import type { RegionTarget, ReleaseTarget, WaveSelector } from "./wave-inputs.ts";

/** Plain JSON of a traffic node. Its direction is no input: it follows from what the waves pin. */
export interface TrafficInputs {
  readonly kind: "traffic";
  /** `canary`: the steps below 100 percent, before any tenant moves. `flip`: the last one, after all have moved. */
  readonly phase: "canary" | "flip";
  readonly environment: string;
  readonly regions: readonly TrafficRegion[];
  readonly waves: readonly {
    readonly name: string;
    readonly selector: WaveSelector;
    readonly release: ReleaseTarget;
    readonly back?: ReleaseTarget;
  }[];
  /** The newest release of the pins, and the one beside it. */
  readonly newer: ReleaseTarget;
  readonly older?: ReleaseTarget;
  readonly paths: TrafficSplit["paths"];
  readonly steps: readonly {
    readonly percent: number;
    readonly soakMinutes: number;
    readonly gates: readonly MetricGate[];
  }[];
  /** Reference to the URL of Prometheus; needed by steps with gates. */
  readonly metrics?: string;
  readonly carrier: TrafficCarrier;
  readonly releaseRoles: readonly string[];
  /** Tenants returned at the same time when the release is given up. */
  readonly concurrency: number;
}

/** Who makes a split true: gateways that follow the registry, or an HTTPRoute in every region's cluster. */
export type TrafficCarrier =
  | { readonly kind: "registry" }
  | { readonly kind: "gateway-api"; readonly gateway: string; readonly namespace: string };

export interface TrafficRegion extends RegionTarget {
  /** `kubeconfig`: reference to a file or its content. */
  readonly cluster?: { readonly context: string; readonly kubeconfig?: string };
}

export type TrafficArgs = { readonly [K in keyof Omit<TrafficInputs, "kind">]: pulumi.Input<TrafficInputs[K]> };

/**
 * Shares out requests that belong to no tenant: in steps on the way to a release, all at once on the way back. It waits for
 * nothing: a soak is a time in the registry. Removing it from the program leaves the shares as they are.
 */
export class Traffic extends MigrationResource {
  constructor(name: string, args: TrafficArgs, opts?: pulumi.CustomResourceOptions) {
    super({ kind: "traffic", name: "Traffic" }, name, args, opts);
  }
}
