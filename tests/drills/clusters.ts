import type { SeededRandom } from "../workload/seeded-random.ts";
import { clusterFaults } from "./clusters/cluster-faults.ts";
import { ClusterWorld, forwardSteps } from "./clusters/cluster-world.ts";
import type { Drill, DrillCase } from "./drill.ts";
import { shuffled } from "./drill.ts";

/** One pair of regions for all cases: it is made anew only after a case that has failed. */
let world: ClusterWorld | undefined;

/** A promotion over two regions stops after each of its steps, something goes wrong, and everything is back where it was. */
export const clusters: Drill = {
  name: "clusters",
  about: "a promotion over two regions stops half done, a server falls or a gate refuses: all is back on R1, exactly",
  cases(random: SeededRandom) {
    const cases = clusterFaults.flatMap((fault) =>
      (fault.after ?? forwardSteps).map((after): DrillCase => ({
        title: `after ${after}: ${fault.title}`,
        async run() {
          world ??= await ClusterWorld.make();
          try {
            await world.promoteUntil(after);
            await fault.run(world, after);
            await world.requireR1();
          } catch (error) {
            await discard();
            throw error;
          }
        },
      })),
    );
    return shuffled(cases, random);
  },
  close: discard,
};

async function discard(): Promise<void> {
  const old = world;
  world = undefined;
  await old?.end();
}
