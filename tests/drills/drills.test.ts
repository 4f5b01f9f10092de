import { join } from "node:path";
import { repositoryFolder } from "../../local/folders.ts";
import { SeededRandom } from "../workload/seeded-random.ts";
import { allDrills } from "./all-drills.ts";
import { BaseTenants } from "./base-tenants.ts";
import { Stage } from "./stage.ts";

/** A fixed part of each drill: `npm run drill -- NAME --seed 1` runs all of it. */
const seed = 1;
const casesOf: Readonly<Record<string, number>> = {
  "kill-points": 8,
  "lost-ack": 8,
  "kill-random": 6,
  concurrent: 6,
  leak: 5,
  paused: 2,
  traffic: 3,
  fence: 2,
  tamper: 5,
  "bad-input": 4,
  "round-trip": 1,
  restore: 5,
  "self-test": 3,
};

describe("drills", function () {
  this.timeout(120_000);
  let base: BaseTenants;
  let stage: Stage;
  before(async () => {
    base = await BaseTenants.make();
    stage = new Stage(base, join(repositoryFolder, "migrations"));
  });
  afterEach(() => stage.clear());
  after(() => base?.drop());

  for (const drill of allDrills) {
    for (const [nth, one] of drill.cases(new SeededRandom(seed)).slice(0, casesOf[drill.name]).entries()) {
      it(`${drill.name}: ${one.title}`, async () => {
        await one.run(stage, new SeededRandom(seed + nth));
      });
    }
  }
});
