import type * as pulumi from "@pulumi/pulumi";
import { MigrationResource } from "./migration-resource.ts";

/** Plain JSON of a flags node. */
export interface FlagsInputs {
  readonly kind: "flags";
  /** Where flags are kept: for now a JSON file, `{"<flag>": true|false}`, named by a reference such as `env:RC_FLAGS_FILE`. */
  readonly file: string;
  /** The value that all of `flags` get. */
  readonly value: boolean;
  readonly flags: readonly string[];
  /** Tells the two nodes of an environment apart: `off` runs before the cutovers, `on` after them. */
  readonly phase: "off" | "on";
  /** Statuses of the nodes that have to be `done` before; absent: none has to. */
  readonly awaited?: readonly string[];
}

export type FlagsArgs = { readonly [K in keyof Omit<FlagsInputs, "kind">]: pulumi.Input<FlagsInputs[K]> };

/** Sets feature flags through the same gate as the code. Removing it from the program leaves the flags as they are. */
export class Flags extends MigrationResource {
  constructor(name: string, args: FlagsArgs, opts?: pulumi.CustomResourceOptions) {
    super({ kind: "flags", name: "Flags" }, name, args, opts);
  }
}
