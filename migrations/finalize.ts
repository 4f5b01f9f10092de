import type * as pulumi from "@pulumi/pulumi";
import { lasting, MigrationResource } from "./migration-resource.ts";
import type { WaveNodeArgs } from "./prepare.ts";

/**
 * Third node of a wave: takes the mirrors named in the stack file to their end (`retired`, or `off` after a rollback). To
 * `retired` drops the plaintext: from then on going back is a rebuild. Removing the node from the program changes no data.
 */
export class Finalize extends MigrationResource {
  constructor(name: string, args: WaveNodeArgs, opts?: pulumi.CustomResourceOptions) {
    super({ kind: "finalize", name: "Finalize" }, name, args, { ...lasting, ...opts });
  }
}
