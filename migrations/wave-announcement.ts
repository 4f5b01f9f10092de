import * as pulumi from "@pulumi/pulumi";
import type { WaveNodeArgs } from "./prepare.ts";

/**
 * Shows in a preview, on the node's own row, what the wave would move: true counts, minutes, and how long the way back
 * takes after each step. Counts are no inputs: they would make a diff in every preview. Reads only, with the reading role.
 */
export function announceWave(args: WaveNodeArgs, node: pulumi.Resource): void {
  if (!pulumi.runtime.isDryRun()) return;
  // The guard has gone before: its check has visited the tenants, and what it found is known to the registry.
  pulumi.all([args, node.urn]).apply(async ([inputs]) => {
    const { describeWave } = await import("./census.ts");
    try {
      for (const line of await describeWave({ ...inputs, kind: "prepare" })) await pulumi.log.info(line, node);
    } catch (error) {
      const { isPlatformAbsent } = await import("./nodes/wave-members.ts");
      if (isPlatformAbsent(error)) return pulumi.log.info("no platform yet: nothing to move", node);
      // A preview must also answer when a server is away; the provider's check refuses what has to be refused.
      return pulumi.log.warn(`the live data could not be read: ${(error as Error).message}`, node);
    }
  });
}
