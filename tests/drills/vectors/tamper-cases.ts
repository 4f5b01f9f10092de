import { onMilvus, onPgvector } from "../../migrations/vector-store/vector-fixture.ts";
import type { DrillCase } from "../drill.ts";
import { judgeVectors } from "./judge-vectors.ts";
import { goOn, vectorCase, type VectorScene } from "./vector-case.ts";

type Tenant = VectorScene["tenant"];

/** What somebody does to Milvus behind the engine. */
const tamperings = {
  "one bit of a vector is flipped": async (tenant: Tenant) => {
    const [row] = [...(await tenant.stock.read()).values()] as [StoredRow];
    await tenant.stock.write([{ ...row, floats: flipped(row.floats) }]);
  },
  "a vector is missing": async (tenant: Tenant) => {
    const [key] = [...(await tenant.stock.read()).keys()] as [string];
    await tenant.stock.delete([key]);
  },
  "there is a vector too many": async (tenant: Tenant) => {
    await tenant.stock.write([{ key: tenant.newIds(1)[0] as string, version: 1, floats: tenant.newVector() }]);
  },
  "one is missing and another one too many, so that the count is right": async (tenant: Tenant) => {
    const [key] = [...(await tenant.stock.read()).keys()] as [string];
    await tenant.stock.delete([key]);
    await tenant.stock.write([{ key: tenant.newIds(1)[0] as string, version: 1, floats: tenant.newVector() }]);
  },
  "a vector has another version": async (tenant: Tenant) => {
    const [row] = [...(await tenant.stock.read()).values()] as [StoredRow];
    await tenant.stock.write([{ ...row, version: row.version + 1 }]);
  },
} as const;

type StoredRow = Parameters<Tenant["stock"]["write"]>[0][number];

function flipped(floats: Buffer): Buffer {
  const bytes = Buffer.from(floats);
  bytes[16] = (bytes[16] as number) ^ 1;
  return bytes;
}

const beforeComparison = Object.entries(tamperings).map(([what, tamper]) =>
  vectorCase(`${what} before the copy is compared: found, repaired once, noted`, "off", async ({ tenant }) => {
    await tenant.kill("prepare", onMilvus, "verify.before");
    await tamper(tenant);
    await goOn(tenant, "Milvus");
    const found = await tenant.admin.query("SELECT FROM rc.journal WHERE event = 'repaired'");
    if (found.rowCount !== 1) throw new Error(`${found.rowCount} repairs are noted, 1 was needed`);
    await judgeVectors(tenant, "switched", { isRepairAllowed: true });
  }),
);

/** After the comparison only what a register can know is held to Milvus again: keys and versions. */
const afterComparison = Object.entries(tamperings)
  .filter(([what]) => !what.includes("bit"))
  .map(([what, tamper]) =>
    vectorCase(`${what} after the copy was compared: the cutover stops`, "mirroring", async ({ tenant }) => {
      await tamper(tenant);
      await tenant.stop("cutover", onMilvus, /Somebody else has changed the collection: nothing was moved/);
      await beginAnew(tenant);
      await judgeVectors(tenant, "switched");
    }),
  );

async function beginAnew(tenant: Tenant): Promise<void> {
  await tenant.move("finalize", onPgvector);
  await goOn(tenant, "Milvus");
}

const others: readonly DrillCase[] = [
  vectorCase("a bit is flipped whenever the copy is compared: stops after one repair", "off", async ({ tenant }) => {
    await tenant.kill("prepare", onMilvus, "verify.before");
    const tamper = tamperings["one bit of a vector is flipped"];
    await tamper(tenant);
    await tenant.kill("prepare", onMilvus, "verify.after");
    // The range is verified now; somebody flips again, and somebody asks for a new comparison.
    await tamper(tenant);
    await tenant.admin.query("UPDATE rc.range SET verified_epoch = NULL");
    await tenant.stop("prepare", onMilvus, /edited|changed|differ/i);
    if ((await tenant.position()) !== "off") throw new Error("the tenant has moved");
  }),
  vectorCase("a vector is missing under R3: the way back stops until it is written", "switched", async ({ tenant }) => {
    const [victim] = tenant.some(1) as [string];
    // A change of the register alone has it captured: R3 has written it, and Milvus has lost it.
    await tenant.write([victim]);
    await tenant.stock.delete([victim]);
    const run = await tenant.start("cutover", onPgvector).ended();
    if (run?.status === "done") throw new Error("authority moved to a side that lacks a vector");
    await tenant.write([victim]);
    await goOn(tenant, "pgvector");
    await judgeVectors(tenant, "mirroring");
  }),
  vectorCase(
    "the collection is dropped between two chunks: the copy begins anew there",
    "off",
    async ({ tenant }) => {
      await tenant.kill("prepare", onMilvus, "chunk.commit.after");
      await tenant.stock.dropCollection();
      await goOn(tenant, "Milvus");
      await judgeVectors(tenant, "switched", { isRepairAllowed: true });
    },
    { isAlone: true },
  ),
  vectorCase(
    "the collection is dropped under a running copy: stops, says why, goes on",
    "off",
    async ({ tenant, proxy }) => {
      void proxy.set("Upsert", { before: () => tenant.stock.dropCollection() }, { skip: 1 });
      await tenant.stop("prepare", onMilvus, /collection/i);
      await goOn(tenant, "Milvus");
      await judgeVectors(tenant, "switched", { isRepairAllowed: true });
    },
    { isAlone: true },
  ),
  vectorCase(
    "the collection is dropped before the cutover: the cutover stops",
    "mirroring",
    async ({ tenant }) => {
      await tenant.stock.dropCollection();
      await tenant.stop("cutover", onMilvus, /collection/i);
      await beginAnew(tenant);
      await judgeVectors(tenant, "switched");
    },
    { isAlone: true },
  ),
  vectorCase(
    "another collection has the name: stops, names every difference, goes on",
    "off",
    async ({ tenant }) => {
      await tenant.stock.makeOther(16, "L2");
      await tenant.stop("prepare", onMilvus, /dimension 16.*dimension 8.*metric is L2.*COSINE/);
      await tenant.stock.dropCollection();
      await goOn(tenant, "Milvus");
      await judgeVectors(tenant, "switched");
    },
    { isAlone: true },
  ),
];

/** Milvus's rows and collection changed behind the engine's back. */
export const tamperCases: readonly DrillCase[] = [...beforeComparison, ...afterComparison, ...others];
