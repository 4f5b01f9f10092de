import { setTimeout as sleep } from "node:timers/promises";
import { onMilvus, onPgvector } from "../../migrations/vector-store/vector-fixture.ts";
import type { DrillCase } from "../drill.ts";
import { judgeVectors } from "./judge-vectors.ts";
import { MilvusProxy } from "./milvus-proxy.ts";
import { OwnMilvus } from "./own-milvus.ts";
import { type Beginning, bringTo, goOn } from "./vector-case.ts";
import { VectorTenant } from "./vector-tenant.ts";

let own: Promise<OwnMilvus> | undefined;

/** Ends the Milvus of these cases, if there was one. */
export async function endOwnMilvus(): Promise<void> {
  const ending = own;
  own = undefined;
  await (await ending)?.end();
}

interface ServerScene {
  readonly tenant: VectorTenant;
  readonly proxy: MilvusProxy;
  readonly server: OwnMilvus;
}

/** A case on a Milvus that it may kill. After a kill Milvus needs the half minute of its sessions to come back. */
function serverCase(title: string, from: Beginning, play: (scene: ServerScene) => Promise<void>): DrillCase {
  return {
    title,
    async run(stage, random) {
      own ??= OwnMilvus.make();
      const server = await own;
      const milvus = await server.start();
      await using tenant = await VectorTenant.open({ milvus, migrationsFolder: stage.migrationsFolder, random });
      await bringTo(tenant, from);
      await using proxy = await MilvusProxy.start(milvus.address);
      tenant.access.address = proxy.address;
      await play({ tenant, proxy, server });
    },
  };
}

/** A run that the server's fall meets: it ends well if the server is back in time, else it fails as unreachable. */
async function survive(run: ReturnType<VectorTenant["start"]>): Promise<void> {
  const result = await run.ended();
  if (result?.status === "done") return;
  if (!/unreachable|loading|Milvus/.test(result?.reason ?? "")) throw new Error(`the run ended: ${result?.reason}`);
}

/** Milvus itself falls, with what it has acknowledged and not flushed. */
export const serverCases: readonly DrillCase[] = [
  serverCase("Milvus is killed in the middle of the copy", "off", async ({ tenant, proxy, server }) => {
    const struck = proxy.set("Upsert", { before: async () => server.kill() }, { skip: 1 });
    const run = tenant.start("prepare", onMilvus);
    await struck;
    await server.start();
    await survive(run);
    await goOn(tenant, "Milvus");
    await judgeVectors(tenant, "switched");
  }),
  serverCase(
    "Milvus is killed with the whole copy acknowledged and nothing flushed",
    "mirroring",
    async ({ tenant, server }) => {
      server.kill();
      await tenant.change();
      await server.start();
      await goOn(tenant, "Milvus");
      await judgeVectors(tenant, "switched");
    },
  ),
  serverCase("Milvus is killed with writes of R3 not flushed, before the way back", "switched", async (scene) => {
    const { tenant, server } = scene;
    await tenant.change();
    server.kill();
    await server.start();
    await tenant.change();
    await goOn(tenant, "pgvector");
    await judgeVectors(tenant, "mirroring");
  }),
  serverCase("Milvus is stopped and started in the middle of a comparison", "off", async (scene) => {
    const { tenant, proxy, server } = scene;
    const struck = proxy.set("Query", { before: () => server.stop() }, { skip: 2 });
    const run = tenant.start("prepare", onMilvus);
    await struck;
    await server.start();
    await survive(run);
    await goOn(tenant, "Milvus");
    await judgeVectors(tenant, "switched");
  }),
  serverCase("the run comes while Milvus is starting and loading", "switched", async ({ tenant, server }) => {
    await tenant.change();
    await server.stop();
    const run = tenant.start("prepare", onPgvector);
    await server.start();
    await survive(run);
    await goOn(tenant, "pgvector");
    await judgeVectors(tenant, "mirroring");
  }),
  serverCase("Milvus denies all writing for a while, by its own quota", "mirroring", async ({ tenant, server }) => {
    const [row] = [...(await tenant.stock.read()).values()];
    if (row === undefined) throw new Error("the copy is empty");
    const isDenied = () =>
      tenant.stock.write([row]).then(
        () => false,
        () => true,
      );
    await tenant.change();
    await server.setWritingDenied(true);
    try {
      while (!(await isDenied())) await sleep(200);
      await tenant.stop("cutover", onMilvus, /overloaded/);
    } finally {
      await server.setWritingDenied(false);
    }
    while (await isDenied()) await sleep(200);
    await tenant.move("cutover", onMilvus);
    await judgeVectors(tenant, "switched");
  }),
];
