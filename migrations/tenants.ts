import type * as pulumi from "@pulumi/pulumi";
import { lasting, MigrationResource } from "./migration-resource.ts";
import type { ResidencyRule } from "./registry/residency.ts";
import type { RegionTarget, ReleaseTarget, WaveSelector } from "./wave-inputs.ts";

/** Plain JSON of the node: seed tenants and the probe tenant of each release. */
export interface TenantsInputs {
  readonly kind: "tenants";
  readonly environment: string;
  readonly regions: readonly RegionTarget[];
  /** Who may live where; absent when there is no rule. */
  readonly residency?: readonly ResidencyRule[];
  /** Tenants of the stack file; those that exist already are left as they are. */
  readonly seeds: readonly { readonly id: string; readonly tags: readonly string[]; readonly region?: string }[];
  readonly waves: readonly {
    readonly name: string;
    readonly selector: WaveSelector;
    readonly release: ReleaseTarget;
  }[];
  /** Releases whose fleets run: each gets a probe tenant `probe-<release>` of its own in every region. */
  readonly probes: readonly ReleaseTarget[];
  readonly releaseRoles: readonly string[];
  /** Ids of all releases that the program knows; kept in the registry, so that an older program is refused. */
  readonly releases: readonly string[];
}

export type TenantsArgs = { readonly [K in keyof Omit<TenantsInputs, "kind">]: pulumi.Input<TenantsInputs[K]> };

/**
 * The registry's tables, the seed tenants and the probe tenants, onboarded in bulk. One resource for any number of
 * tenants; removing it from the program removes no tenant.
 */
export class Tenants extends MigrationResource {
  constructor(name: string, args: TenantsArgs, opts?: pulumi.CustomResourceOptions) {
    super({ kind: "tenants", name: "Tenants" }, name, args, { ...lasting, ...opts });
  }
}
