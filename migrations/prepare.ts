import type * as pulumi from "@pulumi/pulumi";
import { lasting, MigrationResource } from "./migration-resource.ts";
import { announceWave } from "./wave-announcement.ts";
import type { WaveInputs } from "./wave-inputs.ts";

/** Inputs of a wave node as the program gives them. */
export type WaveNodeArgs = { readonly [K in keyof Omit<WaveInputs, "kind">]: pulumi.Input<WaveInputs[K]> };

/**
 * First node of a wave: brings every mirror to the last position from which one short transaction reaches the pinned
 * release. Copies, captures and verifies; disturbs nobody. Removing it from the program changes no data.
 */
export class Prepare extends MigrationResource {
  constructor(name: string, args: WaveNodeArgs, opts?: pulumi.CustomResourceOptions) {
    super({ kind: "prepare", name: "Prepare" }, name, args, { ...lasting, ...opts });
    announceWave(args, this);
  }
}
