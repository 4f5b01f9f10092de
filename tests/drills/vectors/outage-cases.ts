import { onMilvus, onPgvector } from "../../migrations/vector-store/vector-fixture.ts";
import type { DrillCase } from "../drill.ts";
import { judgeVectors } from "./judge-vectors.ts";
import { goOn, vectorCase } from "./vector-case.ts";

const briefly = { awayMs: 1500 } as const;

/** Nobody answers at Milvus's address, from a named call of each phase on. */
export const outageCases: readonly DrillCase[] = [
  ...(["ShowCollections", "LoadCollection", "CreateCredential", "Upsert", "Query"] as const).map((method) =>
    vectorCase(`Milvus is away for a while from ${method} of the copy on`, "off", async ({ tenant, proxy }) => {
      void proxy.set(method, briefly, method === "Query" ? { skip: 2 } : {});
      await goOn(tenant, "Milvus");
      await judgeVectors(tenant, "switched");
    }),
  ),
  vectorCase("Milvus is away for a while from the drain of the cutover on", "mirroring", async ({ tenant, proxy }) => {
    await tenant.change();
    void proxy.set("Upsert", briefly);
    await tenant.move("cutover", onMilvus);
    await judgeVectors(tenant, "switched");
  }),
  vectorCase("Milvus is away for a while from the drain of the way back on", "switched", async ({ tenant, proxy }) => {
    await tenant.change();
    void proxy.set("Query", briefly);
    await goOn(tenant, "pgvector");
    await judgeVectors(tenant, "mirroring");
  }),
  vectorCase("Milvus is away for a while in the rebuild of pgvector", "retired", async ({ tenant, proxy }) => {
    await tenant.restoreSource();
    void proxy.set("Query", briefly, { skip: 1 });
    await goOn(tenant, "pgvector");
    await judgeVectors(tenant, "mirroring");
  }),
  vectorCase("Milvus is away for a while when the copy is given up", "mirroring", async ({ tenant, proxy }) => {
    void proxy.set("Delete", briefly);
    await tenant.move("finalize", onPgvector);
    await judgeVectors(tenant, "off");
  }),
];

/** Longer than the engine asks again. */
export const absenceCases: readonly DrillCase[] = [
  vectorCase("Milvus stays away in the copy: stops, says why, goes on", "off", async ({ tenant, proxy }) => {
    const { address } = tenant.access;
    void proxy.set("Upsert", { awayMs: 3_600_000 });
    await tenant.stop("prepare", onMilvus, new RegExp(`Milvus at ${address}.*unreachable`));
    proxy.comeBack();
    await tenant.change();
    await goOn(tenant, "Milvus");
    await judgeVectors(tenant, "switched");
  }),
  vectorCase("Milvus stays away on the way back: stops, says why, goes on", "switched", async ({ tenant, proxy }) => {
    await tenant.change();
    void proxy.set("Query", { awayMs: 3_600_000 });
    await tenant.stop("prepare", onPgvector, /Milvus.*unreachable/);
    proxy.comeBack();
    await goOn(tenant, "pgvector");
    await judgeVectors(tenant, "mirroring");
  }),
];
