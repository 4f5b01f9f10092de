import type * as pulumi from "@pulumi/pulumi";
import { MigrationResource } from "./migration-resource.ts";
import type { ResidencyRule } from "./registry/residency.ts";
import type { RegionTarget, ReleaseTarget, WaveSelector } from "./wave-inputs.ts";

/** Plain JSON of the guard: what the whole program wants, before anything of it is made. */
export interface GuardInputs {
  readonly kind: "guard";
  readonly environment: string;
  readonly regions: readonly RegionTarget[];
  /** Who may live where; absent when there is no rule. */
  readonly residency?: readonly ResidencyRule[];
  readonly waves: readonly {
    readonly name: string;
    readonly selector: WaveSelector;
    readonly release: ReleaseTarget;
    readonly back?: ReleaseTarget;
  }[];
  readonly releaseRoles: readonly string[];
  /** Waves and parts without protection: what is not among them may not leave the program. */
  readonly leaving: readonly string[];
  /** Ids of all releases that the program knows. */
  readonly releases: readonly string[];
}

export type GuardArgs = { readonly [K in keyof Omit<GuardInputs, "kind">]: pulumi.Input<GuardInputs[K]> };

/**
 * The first resource of an environment: everything waits for it, so that what is refused is refused before anything is
 * changed, also without a preview. It changes nothing itself; removing it from the program removes the refusals only.
 */
export class Guard extends MigrationResource {
  constructor(name: string, args: GuardArgs, opts?: pulumi.CustomResourceOptions) {
    super({ kind: "guard", name: "Guard" }, name, args, opts);
  }
}
