import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import type { ReleaseTarget } from "../../migrations/wave-inputs.ts";
import type { JobKind } from "../../migrations/mirror/job.ts";
import type { Position } from "../../migrations/ledger/position.ts";
import type { SeededRandom } from "../workload/seeded-random.ts";
import type { Drill, DrillCase } from "./drill.ts";
import type { DrillTenant } from "./drill-tenant.ts";
import { judge } from "./judge.ts";
import { ledgerFaults } from "./ledger-check.ts";
import { assertNoFaults } from "./oracle.ts";
import type { Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";

type Way = "instant" | "retired" | "mixed";

/** R1 -> R2 -> R1 three times with writes between; and a way that is abandoned at each position for the other one. */
export const roundTrip: Drill = {
  name: "round-trip",
  about: "three times forwards and back with writes between, and turning round at every position",
  cases: () => [
    turn("off", r2, ["prepare"], r1, "mirroring"),
    trips("mixed"),
    turn("switched", r1, ["prepare"], r2, "switched"),
    turn("retired", r1, ["prepare", "cutover"], r2, "switched"),
    turn("mirroring", r2, ["prepare", "cutover"], r1, "mirroring"),
    trips("retired"),
    turn("switched", r1, ["prepare", "cutover"], r2, "switched"),
    turn("retired", r1, ["prepare"], r2, "switched"),
    trips("instant"),
    turn("mirroring", r2, ["prepare"], r1, "mirroring"),
    turn("off", r2, ["prepare", "cutover"], r1, "mirroring"),
    turn("off", r2, ["prepare", "cutover", "finalize"], r1, "mirroring"),
    turnInTheCopy("off", r2, r1),
    turnInTheCopy("retired", r1, r2),
  ],
};

function trips(way: Way): DrillCase {
  return {
    title: `three times there and back, ${way === "instant" ? "always in the window" : way === "retired" ? "always to the end" : "as it comes"}`,
    async run(stage, random) {
      const tenant = await stage.tenant("off");
      await withTraffic(tenant, stage, random, "off", async (traffic) => {
        for (let nth = 0; nth < 3; nth += 1) {
          for (const release of [r2, r1]) {
            const isToTheEnd =
              way === "retired" || (way === "mixed" && random.below(2) === 0) || (nth === 2 && release === r1);
            await go(tenant, release, isToTheEnd ? ["prepare", "cutover", "finalize"] : ["prepare", "cutover"]);
            assertNoFaults("ledger", await ledgerFaults(tenant.admin, await tenant.position()));
            await traffic.burst(5);
          }
        }
      });
    },
  };
}

/** Sets out for one release, stops after some nodes, and goes to the other. */
function turn(
  from: Position,
  release: ReleaseTarget,
  kinds: readonly JobKind[],
  other: ReleaseTarget,
  end: Position,
): DrillCase {
  return {
    title: `from ${from} to ${release.id}, abandoned after ${kinds.at(-1)}, then to ${other.id}`,
    async run(stage, random) {
      const tenant = await stage.tenant(from);
      await withTraffic(tenant, stage, random, end, async (traffic) => {
        await go(tenant, release, kinds);
        await traffic.burst(5);
        await go(tenant, other, ["prepare", "cutover"]);
      });
    },
  };
}

/** Sets out, is killed in the middle of the copy, and stays with the other: nothing of the copy may be left. */
function turnInTheCopy(from: "off" | "retired", release: ReleaseTarget, other: ReleaseTarget): DrillCase {
  return {
    title: `from ${from} to ${release.id}, killed in the copy, then to ${other.id}`,
    async run(stage, random) {
      const tenant = await stage.tenant(from);
      await withTraffic(tenant, stage, random, from, async (traffic) => {
        if (release === r1) await tenant.undoContract();
        await tenant.kill("prepare", release, "chunk.commit.after");
        await traffic.burst(5);
        await go(tenant, other, ["prepare", "cutover"]);
      });
    },
  };
}

async function withTraffic(
  tenant: DrillTenant,
  stage: Stage,
  random: SeededRandom,
  end: Position,
  work: (traffic: Traffic) => Promise<void>,
): Promise<void> {
  const steady = new Traffic(tenant, stage.base, random);
  await steady.burst(10);
  await work(steady);
  await steady.stop();
  await judge(tenant, steady.log, end);
}

async function go(tenant: DrillTenant, release: ReleaseTarget, kinds: readonly JobKind[]): Promise<void> {
  if (release === r1) await tenant.undoContract();
  for (const kind of kinds) await tenant.move(kind, release);
  await tenant.contract();
}
