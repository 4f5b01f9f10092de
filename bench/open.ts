import { contract, createTenant, r1, r2, undoContract } from "../tests/migrations/mirror/tenant-fixture.ts";
import { mirror } from "../tests/migrations/mirror/nodes.ts";
import { seedBodies } from "./bodies.ts";
import { type Bench, median, type Needs, rounded } from "./ratio.ts";
import { type BuildTimes, runTenant, timeBuild } from "./tenant-run.ts";

export const needs: Needs = "servers";

/**
 * The way back after `retire`: rebuilding the source from sealed rows, against sealing them. Each round goes there and
 * back. `--rows`: rows of 1 KB. @default 200000
 */
export const bench: Bench = async ({ rounds, rows = 200_000 }) => {
  const tenant = await createTenant();
  try {
    await seedBodies(tenant, rows, 1024);
    const seals: BuildTimes[] = [];
    const opens: BuildTimes[] = [];
    for (let round = 0; round < rounds; round++) {
      await tenant.admin.query("CHECKPOINT");
      seals.push(await timeBuild(tenant, tenant.job(r2)));
      await runTenant("cutover", tenant.job(r2));
      await runTenant("finalize", tenant.job(r2, { mirrors: [mirror] }));
      await contract(tenant);
      await undoContract(tenant);
      await tenant.admin.query("VACUUM ANALYZE");
      await tenant.admin.query("CHECKPOINT");
      opens.push(await timeBuild(tenant, tenant.job(r1)));
      await runTenant("cutover", tenant.job(r1));
      await runTenant("finalize", tenant.job(r1, { mirrors: [mirror] }));
    }
    const copy = (times: readonly BuildTimes[]): number => median(times.map((one) => one.copySeconds));
    const verify = (times: readonly BuildTimes[]): number => median(times.map((one) => one.verifySeconds));
    return [
      {
        name: "open",
        ratio: rounded(copy(seals) / copy(opens)),
        goal: 0.9,
        better: "higher",
        rows,
        rounds,
        rowsPerSecond: Math.round(rows / copy(opens)),
        sealRowsPerSecond: Math.round(rows / copy(seals)),
        verifyRowsPerSecond: Math.round(rows / verify(opens)),
        ratioWithVerification: rounded((copy(seals) + verify(seals)) / (copy(opens) + verify(opens))),
        allOpenSeconds: opens.map((one) => rounded(one.copySeconds)),
        allSealSeconds: seals.map((one) => rounded(one.copySeconds)),
      },
    ];
  } finally {
    await tenant.close();
  }
};
