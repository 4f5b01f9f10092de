import { onMilvus, onPgvector } from "../../migrations/vector-store/vector-fixture.ts";
import type { DrillCase } from "../drill.ts";
import { judgeVectors } from "./judge-vectors.ts";
import type { MilvusFault } from "./milvus-proxy.ts";
import { message, mutationReply, queryReply, rateLimited } from "./replies.ts";
import { goOn, vectorCase } from "./vector-case.ts";

const lost: readonly DrillCase[] = [
  vectorCase("the answers to three upserts of the copy are lost", "off", async ({ tenant, proxy }) => {
    void proxy.set("Upsert", "lose", { times: 3 });
    await goOn(tenant, "Milvus");
    await judgeVectors(tenant, "switched");
  }),
  vectorCase("the answer to an upsert of the drain is lost", "mirroring", async ({ tenant, proxy }) => {
    await tenant.change();
    void proxy.set("Upsert", "lose");
    await tenant.move("cutover", onMilvus);
    await judgeVectors(tenant, "switched");
  }),
  vectorCase("the answer to a delete of the drain is lost", "mirroring", async ({ tenant, proxy }) => {
    await tenant.erase(tenant.some(30));
    void proxy.set("Delete", "lose");
    await tenant.move("cutover", onMilvus);
    await judgeVectors(tenant, "switched");
  }),
  vectorCase("the answers to two reads of the comparison are lost", "off", async ({ tenant, proxy }) => {
    void proxy.set("Query", "lose", { times: 2, skip: 1 });
    await goOn(tenant, "Milvus");
    await judgeVectors(tenant, "switched");
  }),
  vectorCase("the answer to a read of the way back is lost", "switched", async ({ tenant, proxy }) => {
    await tenant.change();
    void proxy.set("Query", "lose");
    await goOn(tenant, "pgvector");
    await judgeVectors(tenant, "mirroring");
  }),
  vectorCase("the answer to the making of the collection is lost", "off", alone("CreateCollection"), { isAlone: true }),
  vectorCase("the answer to the making of the index is lost", "off", alone("CreateIndex"), { isAlone: true }),
  vectorCase("the answer to the making of the run's user is lost", "off", alone("CreateCredential")),
];

function alone(method: string) {
  return async ({ tenant, proxy }: Parameters<Parameters<typeof vectorCase>[2]>[0]): Promise<void> => {
    void proxy.set(method, "lose");
    await goOn(tenant, "Milvus");
    await judgeVectors(tenant, "switched");
  };
}

/** Replies with which a run has to stop: it cannot know what was done, or is told that something was not. */
const stopping: readonly [title: string, method: string, fault: MilvusFault, reason: RegExp][] = [
  ["an upsert is answered without a status", "Upsert", { answer: Buffer.alloc(0) }, /without a status/],
  ["a read is answered without a status", "Query", { answer: Buffer.alloc(0) }, /without a status/],
  ["a delete is answered without a status", "Delete", { answer: Buffer.alloc(0) }, /without a status/],
  [
    "an upsert is acknowledged with a row too few",
    "Upsert",
    { alter: (reply) => Buffer.concat([reply, mutationReply({ upsertCount: 3 })]) },
    /acknowledged 3 of \d+ rows/,
  ],
  [
    "an upsert names a row that it has not taken",
    "Upsert",
    { alter: (reply) => Buffer.concat([reply, mutationReply({ errorIndex: 1 })]) },
    /acknowledged \d+ of \d+ rows/,
  ],
  ["a read is answered with fewer versions than keys", "Query", { alter: queryReply.withoutVersions }, /0 versions/],
];

const refused = stopping.map(([title, method, fault, reason]) =>
  vectorCase(`${title}: stops, says why, goes on`, "mirroring", async ({ tenant, proxy }) => {
    await tenant.change();
    void proxy.set(method, fault);
    await tenant.stop("cutover", onMilvus, reason);
    await judgePosition(tenant, "mirroring");
    await tenant.move("cutover", onMilvus);
    await judgeVectors(tenant, "switched");
  }),
);

const told: readonly DrillCase[] = [
  vectorCase("an upsert is over the rate limit four times, then as ever", "off", async ({ tenant, proxy }) => {
    void proxy.set("Upsert", { answer: rateLimited }, { times: 4 });
    await goOn(tenant, "Milvus");
    await judgeVectors(tenant, "switched");
  }),
  vectorCase("a read is over the rate limit four times on the way back", "switched", async ({ tenant, proxy }) => {
    await tenant.change();
    void proxy.set("Query", { answer: rateLimited }, { times: 4 });
    await goOn(tenant, "pgvector");
    await judgeVectors(tenant, "mirroring");
  }),
  vectorCase(
    "an upsert of the copy is acknowledged and was never written: the comparison finds it",
    "off",
    async ({ tenant, proxy }) => {
      // As many rows as the engine's first chunk has.
      void proxy.set("Upsert", { answer: message(mutationReply({ upsertCount: 500 })) });
      await goOn(tenant, "Milvus");
      await judgeVectors(tenant, "switched", { isRepairAllowed: true });
    },
  ),
  vectorCase("the load state says that it is loading, three times", "off", async ({ tenant, proxy }) => {
    void proxy.set("GetLoadState", { alter: queryReply.loading }, { times: 3 });
    await goOn(tenant, "Milvus");
    await judgeVectors(tenant, "switched");
  }),
  vectorCase(
    "a write is answered without a status under the lock of the way back",
    "switched",
    async ({ tenant, proxy }) => {
      await tenant.move("prepare", onPgvector);
      await tenant.change();
      void proxy.set("Query", { answer: Buffer.alloc(0) });
      await tenant.stop("cutover", onPgvector, /without a status/);
      await tenant.move("cutover", onPgvector);
      await judgeVectors(tenant, "mirroring");
    },
  ),
];

/** Replies that are lost, false, incomplete or say no. */
export const replyCases: readonly DrillCase[] = [...lost, ...refused, ...told];

async function judgePosition(tenant: { position(): Promise<string> }, wanted: string): Promise<void> {
  const seen = await tenant.position();
  if (seen !== wanted) throw new Error(`the tenant is ${seen}, it should still be ${wanted}`);
}
