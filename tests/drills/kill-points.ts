import type { JobKind } from "../../migrations/mirror/job.ts";
import { type FaultPoint, faultPoints } from "../../migrations/mirror/fault-point.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import type { SeededRandom } from "../workload/seeded-random.ts";
import { type Drill, type DrillCase, shuffled } from "./drill.ts";
import type { FaultPlace } from "./engine-process.ts";
import { judge } from "./judge.ts";
import type { Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";

type Direction = "forwards" | "backwards";
const directions: readonly Direction[] = ["forwards", "backwards"];
const casesOfResume = 41;

/** Places that a resumed run reaches after it was killed at a point that it does not pass a second time. */
const reachedByResume: Partial<Record<FaultPoint, FaultPoint>> = {
  "key.stored": "key",
  "capture.after": "chunk.open",
  "chunk.commit.after": "chunk.copy.after",
  "verify.after": "verify.before",
  "position.after": "drain.commit.before",
  "cutover.unlock.after": "plan",
  "retire.after": "lock",
};

/** Points that a run reaches several times: once more is another case. */
const repeated = /^(chunk|drain|verify)\./;

/** SIGKILL at every named fault point, forwards and backwards, and a second one during the resume; writers at work. */
export const killPoints: Drill = {
  name: "kill-points",
  about: "SIGKILL at each named fault point, forwards, backwards, and again during the resume, with writers at work",
  cases(random) {
    const pairs = faultPoints.flatMap((point) =>
      // The keyset is made on the way to the first copy and stays the tenant's for good.
      directions
        .filter((direction) => direction === "forwards" || !point.startsWith("key."))
        .map((direction) => ({ point, direction })),
    );
    const once = pairs.map(({ point, direction }) => killCase(point, direction, false));
    const twice = shuffled(pairs, random)
      .slice(0, casesOfResume)
      .map(({ point, direction }) => killCase(point, direction, true));
    return shuffled([...once, ...twice], random);
  },
};

function killCase(point: FaultPoint, direction: Direction, isResumeKilled: boolean): DrillCase {
  return {
    title: `killed at ${point} ${direction}${isResumeKilled ? ", and its resume too" : ""}`,
    run: (stage, random) => run(stage, random, point, direction, isResumeKilled),
  };
}

async function run(
  stage: Stage,
  random: SeededRandom,
  point: FaultPoint,
  direction: Direction,
  isResumeKilled: boolean,
): Promise<void> {
  const isForwards = direction === "forwards";
  const release = isForwards ? r2 : r1;
  const tenant = await stage.tenant(isForwards ? "off" : "retired");
  if (!isForwards) await tenant.undoContract();
  const traffic = new Traffic(tenant, stage.base, random);
  traffic.start();
  const fatal = kindThatReaches(point);
  const isToTheEnd = fatal === "finalize" || random.below(4) === 0;
  const kinds: JobKind[] = isToTheEnd ? ["prepare", "cutover", "finalize"] : ["prepare", "cutover"];
  try {
    for (const kind of kinds) {
      if (kind === fatal) {
        const at: FaultPlace = repeated.test(point) ? `${point}:${random.below(2) + 1}` : point;
        await tenant.kill(kind, release, at);
        if (isResumeKilled) await tenant.kill(kind, release, reachedByResume[point] ?? point);
      }
      await tenant.move(kind, release);
    }
  } finally {
    await traffic.stop();
  }
  await tenant.contract();
  const resting = isForwards ? "switched" : "mirroring";
  await judge(tenant, traffic.log, isToTheEnd ? (isForwards ? "retired" : "off") : resting);
}

function kindThatReaches(point: FaultPoint): JobKind {
  if (point.startsWith("cutover.")) return "cutover";
  return point.startsWith("retire.") ? "finalize" : "prepare";
}
