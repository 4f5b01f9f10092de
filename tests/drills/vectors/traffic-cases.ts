import { setTimeout as sleep } from "node:timers/promises";
import { onMilvus, onPgvector } from "../../migrations/vector-store/vector-fixture.ts";
import type { DrillCase } from "../drill.ts";
import { judgeVectors } from "./judge-vectors.ts";
import { vectorCase, type VectorScene } from "./vector-case.ts";

/** Users write all the time while the vectors move. */
export const trafficCases: readonly DrillCase[] = [
  vectorCase("R2 writes during the whole way to Milvus", "off", async ({ tenant }) => {
    await underTraffic(tenant, async () => {
      await tenant.move("prepare", onMilvus);
      await tenant.move("cutover", onMilvus);
    });
    await judgeVectors(tenant, "switched");
  }),
  vectorCase("R3 writes during the whole way back", "switched", async ({ tenant }) => {
    await underTraffic(tenant, async () => {
      await tenant.move("prepare", onPgvector);
      await tenant.move("cutover", onPgvector);
    });
    await judgeVectors(tenant, "mirroring");
  }),
  vectorCase("R3 writes while pgvector is rebuilt", "retired", async ({ tenant }) => {
    await tenant.restoreSource();
    await underTraffic(tenant, async () => {
      await tenant.move("prepare", onPgvector);
      await tenant.move("cutover", onPgvector);
    });
    await judgeVectors(tenant, "mirroring");
  }),
  vectorCase("a chunk is deleted and written again between two drains", "mirroring", async ({ tenant }) => {
    const gone = tenant.some(40);
    await tenant.erase(gone);
    await tenant.move("prepare", onMilvus);
    await tenant.write(gone);
    await tenant.move("prepare", onMilvus);
    await tenant.erase(gone.slice(0, 20));
    await tenant.write(gone.slice(0, 10));
    await tenant.move("cutover", onMilvus);
    await judgeVectors(tenant, "switched");
  }),
];

/** Writes and erases until `work` has ended; a release that is shut out waits and goes on where the other one stands. */
async function underTraffic(tenant: VectorScene["tenant"], work: () => Promise<void>): Promise<void> {
  let isOver = false;
  const users = (async () => {
    while (!isOver) {
      try {
        await tenant.write([...tenant.some(3), ...tenant.newIds(2)]);
        await tenant.erase(tenant.some(1));
      } catch (error) {
        // The fence: nothing of that transaction was written, and nobody was told that it was.
        if ((error as { code?: string }).code !== "42501") throw error;
      }
      await sleep(15);
    }
  })();
  try {
    await work();
  } finally {
    isOver = true;
    await users;
  }
}
