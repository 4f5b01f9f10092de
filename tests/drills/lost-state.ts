import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { r2 } from "../migrations/mirror/tenant-fixture.ts";
import { getPostgresUrl } from "../servers.ts";
import type { SeededRandom } from "../workload/seeded-random.ts";
import type { DrillCase } from "./drill.ts";
import { DrillStack, type Up } from "./drill-stack.ts";
import { DrillWave } from "./drill-wave.ts";
import { judge } from "./judge.ts";
import { PostgresProxy } from "./postgres-proxy.ts";
import { proxiedRegion } from "./proxied-region.ts";
import type { Stage } from "./stage.ts";
import { Traffic } from "./traffic.ts";

/** Pulumi's state is not written: the next update knows nothing of what the last one has moved. */
export const lostStateCases: readonly DrillCase[] = [
  {
    title: "the CLI is killed after the cutover and before it has written its state",
    run: (stage, random) =>
      runUp(stage, random, async (stack, up) => {
        up.kill();
        return async () => {
          await up.ended();
          await stack.cancel(); // the dead update's lock
        };
      }),
  },
  {
    title: "the backend takes no state after the cutover, once",
    run: (stage, random) =>
      runUp(stage, random, async (stack, up) => {
        const folder = join(stack.backendFolder, ".pulumi", "stacks");
        await rename(folder, `${folder}.away`);
        await writeFile(folder, "");
        return async () => {
          const code = await up.ended();
          await rm(folder);
          await rename(`${folder}.away`, folder);
          if (code === 0) throw new Error("the update says nothing of a state that it could not write");
          await stack.cancel();
        };
      }),
  },
];

/**
 * One real update of one wave whose state is lost: `lose` is called when the last node has told the registry that it is
 * done, before Pulumi hears so; what it returns waits for the end and mends. Then a second update.
 */
async function runUp(
  stage: Stage,
  random: SeededRandom,
  lose: (stack: DrillStack, up: Up) => Promise<() => Promise<void>>,
): Promise<string> {
  const tenant = await stage.tenant("off");
  await using wave = await DrillWave.make([tenant]);
  const traffic = new Traffic(tenant, stage.base, random);
  traffic.start();
  let remark = "";
  try {
    await using proxy = await PostgresProxy.start(getPostgresUrl());
    const region = proxiedRegion({ postgres: proxy });
    await using stack = await DrillStack.make(stage.migrationsFolder, [
      wave.inputs("prepare", r2, region),
      wave.inputs("cutover", r2, region),
    ]);
    const up = stack.up();
    let mend: (() => Promise<void>) | undefined;
    // Each node notes its beginning and its end.
    const boundary = { session: /^rc-registry$/, statement: /^INSERT INTO registry\.wave_step /, nth: 4 };
    const isLost = proxy.before(boundary, async () => {
      mend = await lose(stack, up);
    });
    await Promise.race([isLost, up.ended()]);
    if (mend === undefined) throw new Error(`the update ended before its cutover did:\n${up.output()}`);
    await mend();
    if ((await tenant.position()) !== "switched")
      throw new Error("the cutover had not happened when its state was lost");
    const state = await stack.statusOf("cutover");
    if (state === "done") throw new Error("the state was written all the same: the drill has proven nothing");
    const again = stack.up();
    const code = await again.ended();
    if (code !== 0) throw new Error(`the next update failed:\n${again.output()}`);
    const after = await stack.statusOf("cutover");
    if (after !== "done") throw new Error(`the state says of the cutover: ${after}`);
    remark = `the state said ${state ?? "nothing"} of the cutover, now ${after}`;
  } finally {
    await traffic.stop();
  }
  const cutovers = await tenant.admin.query("SELECT FROM rc.journal WHERE event = 'cutover'");
  if (cutovers.rowCount !== 1) throw new Error(`the tenant was flipped ${cutovers.rowCount} times`);
  await judge(tenant, traffic.log, "switched");
  return remark;
}
