import { readFile } from "node:fs/promises";
import { Canary, expectNothing, expectSomething, findIn, findInFiles, keyNeedles, markNeedle } from "./canary.ts";
import type { DrillCase } from "./drill.ts";
import { environment } from "./drill-tenant.ts";
import type { Stage } from "./stage.ts";
import { catalogR1 } from "./wave-stack.ts";
import { WaveWorld } from "./wave-world.ts";

const finalized = "finalize: { general: [prompt-encryption] }";

/** What Pulumi and the coordinator keep and print on the way to `retired`. */
export const leakedByUpdates: readonly DrillCase[] = [
  {
    title: "Pulumi's state, history, checkpoints and plugin logs, and the output of preview and update",
    run: (stage) =>
      onTheWay(stage, async ({ stack }, look) => {
        await stack.pin("forwards");
        await look("the preview", await stack.pulumi("preview", "--diff", "--stack", environment));
        for (const extra of ["", finalized]) {
          await stack.pin("forwards", extra);
          const update = stack.up();
          if ((await update.ended()) !== 0) throw new Error(update.output);
          await look("the output of the update", update.output);
        }
        await look(
          "the exported state",
          await stack.pulumi("stack", "export", "--show-secrets", "--stack", environment),
        );
      }),
  },
  {
    title: "what the coordinator prints, from status to rollback, and the registry",
    run: (stage) =>
      onTheWay(stage, async (world, look) => {
        const { stack } = world;
        for (const words of [
          ["promote", "r1", "--env", environment],
          ["diff", "--env", environment, "--json"],
          ["promote", "r2", "--env", environment],
          ["status", "--env", environment, "--json"],
          ["verify", "--env", environment, "--json"],
          ["history", "--env", environment, "--json"],
          ["rollback", environment, "--dry-run", "--json"],
          ["rollback", environment, "--json"],
        ]) {
          const { code, stdout, stderr } = await stack.coordinator(...words);
          if (code !== 0) throw new Error(`coordinator ${words.join(" ")} ended with ${code}: ${stdout}${stderr}`);
          await look(`coordinator ${words.join(" ")}`, stdout + stderr);
        }
        await look("the registry", JSON.stringify(await world.registry.projection.overview()));
      }),
  },
];

type Look = (where: string, text: string) => Promise<void>;

async function onTheWay(stage: Stage, work: (world: WaveWorld, look: Look) => Promise<void>): Promise<void> {
  const canary = new Canary();
  const tenant = await stage.tenant("off");
  await canary.plant(tenant, 5);
  const world = await WaveWorld.open(stage, [{ tenant, at: catalogR1 }]);
  const texts: [string, string][] = [];
  try {
    await work(world, async (where, text) => void texts.push([where, text]));
    const needles = [markNeedle(canary), ...(await keyNeedles(tenant))];
    for (const [where, text] of texts) expectNothing(findIn(where, text, needles));
    const files = await findInFiles(world.stack.folder, [{ what: "", bytes: Buffer.from("general-prepare") }]);
    expectSomething(files, "the backend's files");
    expectNothing(await findInFiles(world.stack.folder, needles));
    const file = await readFile(`${world.stack.program}/Pulumi.${environment}.yaml`, "utf8");
    expectNothing(findIn("the stack file", file, needles));
  } finally {
    await world.close();
  }
}
