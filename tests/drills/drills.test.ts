import { join } from "node:path";
import { repositoryFolder } from "../../local/folders.ts";
import { SeededRandom } from "../workload/seeded-random.ts";
import { allDrills } from "./all-drills.ts";
import { BaseTenants } from "./base-tenants.ts";
import type { Drill } from "./drill.ts";
import { OwnServers } from "./own-servers.ts";
import { Stage } from "./stage.ts";
import { testedCases, testedSeed } from "./tested-cases.ts";

describe("drills", function () {
  this.timeout(300_000);
  runAll(
    allDrills.filter((drill) => !drill.hasOwnServers),
    () => Promise.resolve(undefined),
  );
});

describe("drills that stop their servers", function () {
  this.timeout(120_000);
  runAll(
    allDrills.filter((drill) => drill.hasOwnServers),
    () => OwnServers.start(),
  );
});

function runAll(drills: readonly Drill[], start: () => Promise<OwnServers | undefined>): void {
  let servers: OwnServers | undefined;
  let base: BaseTenants | undefined;
  let stage: Stage;
  before(async () => {
    servers = await start();
    base = await BaseTenants.make();
    stage = new Stage(base, join(repositoryFolder, "migrations"), servers);
  });
  afterEach(() => stage.clear());
  after(async () => {
    for (const drill of drills) await drill.close?.();
    await base?.drop();
    await servers?.end();
  });

  for (const drill of drills) {
    const cases = drill.cases(new SeededRandom(testedSeed)).slice(0, testedCases[drill.name]);
    for (const [nth, one] of cases.entries()) {
      it(`${drill.name}: ${one.title}`, async () => {
        await one.run(stage, new SeededRandom(testedSeed + nth));
      });
    }
  }
}
