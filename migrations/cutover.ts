import type * as pulumi from "@pulumi/pulumi";
import { lasting, MigrationResource } from "./migration-resource.ts";
import type { WaveNodeArgs } from "./prepare.ts";

/**
 * Second node of a wave: one short transaction per tenant moves authority, fences the other release and flips the route.
 * Removing it from the program changes no data.
 */
export class Cutover extends MigrationResource {
  constructor(name: string, args: WaveNodeArgs, opts?: pulumi.CustomResourceOptions) {
    super({ kind: "cutover", name: "Cutover" }, name, args, { ...lasting, ...opts });
  }
}
