import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repositoryFolder } from "../../local/folders.ts";
import { SeededRandom } from "../workload/seeded-random.ts";
import { badInput } from "./bad-input.ts";
import type { Drill, DrillCase } from "./drill.ts";
import { fence } from "./fence.ts";
import { killPoints } from "./kill-points.ts";
import { live } from "./live.ts";
import { lostAck } from "./lost-ack.ts";
import { paused } from "./paused.ts";
import { roundTrip } from "./round-trip.ts";
import { type SeededBug, seededBugs } from "./seeded-bugs.ts";
import { Stage } from "./stage.ts";
import { tamper } from "./tamper.ts";

const drills: readonly Drill[] = [killPoints, lostAck, paused, live, fence, tamper, badInput, roundTrip];

/** Switches one bug on in a copy of the engine and expects the drills to see it; and nothing in a copy without one. */
export const selfTest: Drill = {
  name: "self-test",
  about: "bugs switched on one by one in a copy of the engine: the drills have to catch each of them",
  cases: () => [...seededBugs.map((bug) => bugCase(bug)), control],
};

function bugCase(bug: SeededBug): DrillCase {
  return {
    title: `catches that ${bug.title}`,
    async run(stage, random) {
      let failure: string | undefined;
      await withCopy(bug, stage, async (copy) => {
        failure = await firstFailure(bug, copy, random);
      });
      if (failure === undefined) throw new Error("no drill has noticed it");
      return `caught by ${failure}`;
    },
  };
}

/** Without a bug the same cases pass: what they catch above is the bug. */
const control: DrillCase = {
  title: "passes a copy of the engine without a bug",
  async run(stage, random) {
    await withCopy(undefined, stage, async (copy) => {
      for (const bug of seededBugs) {
        const failure = await firstFailure(bug, copy, random);
        if (failure !== undefined) throw new Error(failure);
      }
    });
  },
};

async function firstFailure(bug: SeededBug, stage: Stage, random: SeededRandom): Promise<string | undefined> {
  for (const { drill: name, titles } of bug.aims) {
    const drill = drills.find((one) => one.name === name);
    const cases = drill?.cases(new SeededRandom(0)).filter((one) => titles.test(one.title)) ?? [];
    if (cases.length === 0) throw new Error(`no case of ${name} aims at this bug any more`);
    for (const one of cases) {
      try {
        await one.run(stage, random);
      } catch (error) {
        return `${name}, ${one.title}: ${(error as Error).message}`;
      } finally {
        await stage.clear();
      }
    }
  }
  return undefined;
}

/** A copy of migrations/ in a folder of its own, with the bug in it. */
async function withCopy(bug: SeededBug | undefined, stage: Stage, work: (copy: Stage) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "release-coordinator-drill-"));
  const migrations = join(folder, "migrations");
  try {
    await cp(stage.migrationsFolder, migrations, { recursive: true });
    await cp(join(repositoryFolder, "package.json"), join(folder, "package.json"));
    await symlink(join(repositoryFolder, "node_modules"), join(folder, "node_modules"));
    if (bug !== undefined) {
      const path = join(migrations, bug.file);
      const parts = (await readFile(path, "utf8")).split(bug.from);
      if (parts.length !== 2)
        throw new Error(`${bug.file} has ${parts.length - 1} times "${bug.from}", it should be once`);
      await writeFile(path, parts.join(bug.to));
    }
    await work(new Stage(stage.base, migrations));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
