import type { SeededRandom } from "../workload/seeded-random.ts";
import type { Drill, DrillCase } from "./drill.ts";
import { shuffled } from "./drill.ts";
import { backendCases } from "./refusals/backend-cases.ts";
import { databaseCases } from "./refusals/database-cases.ts";
import { holdCases } from "./refusals/hold-cases.ts";
import { programCases } from "./refusals/program-cases.ts";
import { meetRefusal } from "./refusals/refusal-case.ts";
import type { RefusalCase } from "./refusals/refusal-case.ts";
import { RefusalWorld } from "./refusals/refusal-world.ts";
import { releaseCases } from "./refusals/release-cases.ts";
import { resumedCases } from "./refusals/resumed.ts";
import type { ResumedCase } from "./refusals/resumed.ts";
import { stackFileCases } from "./refusals/stack-file-cases.ts";
import { vaultCases } from "./refusals/vault-cases.ts";
import { wayBackCases } from "./refusals/way-back-cases.ts";

const refused: readonly RefusalCase[] = [
  ...releaseCases,
  ...stackFileCases,
  ...vaultCases,
  ...databaseCases,
  ...holdCases,
  ...programCases,
  ...backendCases,
  ...wayBackCases,
];

/** One environment for all cases: it is made anew only after a case that nothing puts back, or that has failed. */
let world: RefusalWorld | undefined;

/** The real program and the real commands, each time with one thing that has to be refused: nothing may have changed. */
export const refusals: Drill = {
  name: "refusals",
  about: "everything that preview, up and the commands refuse: said in full, and nothing changed",
  cases(random: SeededRandom) {
    const on = (release: "r1" | "r2", isLast = false) =>
      shuffled(
        refused.filter((one) => one.on === release && (one.isLast ?? false) === isLast),
        random,
      ).map(refusedCase);
    // In the order in which one environment can meet them: on R1, on its way to R2, on R2, and what ends it.
    const [killedPrepare, ...killedLater] = resumedCases.map(resumedCase);
    return [
      ...on("r1"),
      ...(killedPrepare === undefined ? [] : [killedPrepare]),
      ...on("r2"),
      ...killedLater,
      ...on("r2", true),
    ];
  },
  close: discard,
};

function refusedCase(one: RefusalCase): DrillCase {
  return {
    title: `refuses ${one.title}`,
    async run() {
      world ??= await RefusalWorld.make();
      await world.reach(one.on);
      const { isWorldSound, fault } = await meetRefusal(one, world);
      if (!isWorldSound) await discard();
      if (fault !== undefined) throw new Error(fault);
      return `${one.attempts.length} commands, nothing changed`;
    },
  };
}

function resumedCase(one: ResumedCase, nth: number): DrillCase {
  return {
    title: one.title,
    async run() {
      world ??= await RefusalWorld.make();
      await world.reach(nth === 0 ? "r1" : "r2");
      try {
        await one.run(world);
        world.hasReached("r2");
      } catch (error) {
        await discard();
        throw error;
      }
    },
  };
}

async function discard(): Promise<void> {
  const old = world;
  world = undefined;
  await old?.close();
}
