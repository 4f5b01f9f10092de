import { setTimeout as sleep } from "node:timers/promises";
import { onMilvus, onPgvector } from "../../migrations/vector-store/vector-fixture.ts";
import type { DrillCase } from "../drill.ts";
import type { FaultPlace } from "../engine-process.ts";
import { judgeVectors } from "./judge-vectors.ts";
import { goOn, vectorCase, type VectorScene } from "./vector-case.ts";

/** What an earlier run has sent, or still sends, when a later one has done its work: nobody there takes it any more. */
export const lateCases: readonly DrillCase[] = [
  vectorCase("an upsert of a killed copy arrives after the cutover", "off", async (scene) => {
    await sendLate(scene, "Upsert");
  }),
  vectorCase("an upsert of a killed drain arrives after the cutover", "mirroring", async (scene) => {
    await scene.tenant.change();
    await sendLate(scene, "Upsert");
  }),
  vectorCase("a delete of a killed drain arrives after the cutover", "mirroring", async (scene) => {
    const { tenant } = scene;
    const gone = tenant.some(5);
    await tenant.erase(gone);
    // Written anew under R3: the late delete would take the new vectors with it.
    await sendLate(scene, "Delete", () => tenant.write(gone));
  }),
  vectorCase("a delete of a copy that was given up arrives after the next copy", "mirroring", async (scene) => {
    const { tenant, proxy } = scene;
    const held = proxy.set("Delete", "hold");
    const run = tenant.start("finalize", onPgvector);
    await held;
    await run.end();
    await tenant.move("finalize", onPgvector);
    await goOn(tenant, "Milvus");
    await refused(proxy);
    await judgeVectors(tenant, "switched");
  }),
  ...(["chunk.copy.before", "chunk.copy.after", "drain.commit.before"] as const).map((at) =>
    vectorCase(`a run sleeps at ${at}, another one ends the work, the sleeper wakes`, "off", ({ tenant }) =>
      sleeper(tenant, at),
    ),
  ),
  vectorCase("a run sleeps before it has a user, another one ends the work, the sleeper wakes", "off", ({ tenant }) =>
    sleeper(tenant, "key"),
  ),
];

async function sendLate({ tenant, proxy }: VectorScene, method: string, between?: () => Promise<void>): Promise<void> {
  const held = proxy.set(method, "hold");
  const run = tenant.start("prepare", onMilvus);
  await held;
  await run.end();
  await tenant.change();
  await goOn(tenant, "Milvus");
  // R3 writes the same chunks: what comes late would put older vectors over them.
  await tenant.write(tenant.some(200));
  await between?.();
  await refused(proxy);
  await judgeVectors(tenant, "switched");
}

/** gRPC's numbers: 7 is permission denied, 16 unauthenticated. */
async function refused(proxy: VectorScene["proxy"]): Promise<void> {
  const replies = await proxy.release();
  const statuses = replies.map(({ headers, trailers }) => headers["grpc-status"] ?? trailers["grpc-status"]);
  if (statuses.length === 0 || !statuses.every((status) => status === "16" || status === "7"))
    throw new Error(`a late request was answered with gRPC status ${statuses.join(", ") || "nothing"}`);
}

async function sleeper(tenant: VectorScene["tenant"], at: FaultPlace): Promise<void> {
  const run = tenant.start("prepare", onMilvus, { at, signal: "SIGSTOP" });
  await run.stopped();
  await tenant.endSessions();
  await tenant.change();
  await goOn(tenant, "Milvus");
  await tenant.write(tenant.some(200));
  run.wake();
  const result = await run.ended();
  if (result?.status === "done") throw new Error("the sleeper ended as if nothing had happened");
  await sleep(200);
  await judgeVectors(tenant, "switched");
}
