import { createHash, randomUUID } from "node:crypto";
import type pg from "pg";
import { type CollectionSpec, ensureCollection } from "../../../migrations/milvus/collection.ts";
import type { MilvusSession } from "../../../migrations/milvus/session.ts";
import { TenantVectors } from "../../../migrations/milvus/vectors.ts";
import type { MirrorDefinition } from "../../../migrations/mirror/definition.ts";
import type { TenantJob, TenantResult } from "../../../migrations/mirror/job.ts";
import { vectorStore } from "../../../migrations/vector-store.ts";
import type { ReleaseTarget } from "../../../migrations/wave-inputs.ts";
import { getMilvus } from "../../servers.ts";
import { dropCollection, floats, newSpec, openRoot } from "../milvus/milvus-fixture.ts";
import { createTenant, r1, r2, type TestTenant } from "../mirror/tenant-fixture.ts";

/** The release that searches pgvector. */
export const onPgvector: ReleaseTarget = { ...r1, sinkMirrors: [] };

/** The release that searches Milvus. */
export const onMilvus: ReleaseTarget = { ...r2, sinkMirrors: ["vector-store"] };

/** Floats in the vectors of most tests. */
export const dimension = 8;

/** The source as R2 has it. */
export const sourceTable = (type = `vector(${dimension})`): string =>
  `CREATE TABLE chunk_embeddings (chunk_id uuid PRIMARY KEY, embedding ${type} NOT NULL);`;

/** Tables of chunks as the release on Milvus finds them. @param source SQL of the source's table */
export const chunkTables = (source: string = sourceTable()): string => `
CREATE TABLE chunks (id uuid PRIMARY KEY, text text NOT NULL DEFAULT '');
${source}
ALTER TABLE chunk_embeddings ADD CONSTRAINT chunk_embeddings_chunk_id_fkey FOREIGN KEY (chunk_id) REFERENCES chunks ON DELETE CASCADE;
CREATE TABLE chunk_vectors (chunk_id uuid PRIMARY KEY, vector_version bigint NOT NULL,
  state text NOT NULL CHECK (state IN ('pending', 'ready')));
CREATE TABLE alembic_version (version_num text PRIMARY KEY);
`;

/** A tenant with vectors in pgvector, and a collection of its own in Milvus. */
export interface VectorTenant extends Omit<TestTenant, "job"> {
  readonly spec: CollectionSpec;
  readonly definition: MirrorDefinition;
  readonly session: MilvusSession;
  readonly vectors: TenantVectors;
  job(release: ReleaseTarget, changes?: Partial<TenantJob>): TenantJob;
}

/** @param options `source` is the SQL of the source's table */
export async function createVectorTenant(
  options: { readonly source?: string; readonly spec?: Partial<CollectionSpec> } = {},
): Promise<VectorTenant> {
  const spec = newSpec({ dimension, ...options.spec });
  const definition = { ...vectorStore, collection: spec };
  const { address, password } = await getMilvus();
  process.env["MIR_MILVUS_ADDR"] = address;
  process.env["MIR_MILVUS_USER"] = "root";
  process.env["MIR_MILVUS_PASSWORD"] = password;
  const session = await openRoot();
  const tenant = await createTenant(chunkTables(options.source), [definition]);
  return {
    ...tenant,
    spec,
    definition,
    session,
    vectors: new TenantVectors(session, spec, tenant.tenant),
    job(release, changes) {
      const job = tenant.job(release, { back: release.id === "r1" ? onMilvus : onPgvector, ...changes });
      const region = {
        ...job.region,
        milvusAddress: "env:MIR_MILVUS_ADDR",
        milvusUser: "env:MIR_MILVUS_USER",
        milvusPassword: "env:MIR_MILVUS_PASSWORD",
      };
      return { ...job, region: { ...region, ...changes?.region } };
    },
    async close() {
      await dropCollection(session, spec).catch(() => undefined);
      await session.close();
      await tenant.close();
    },
  };
}

/** Makes the tenant's collection, as a release on Milvus finds it. */
export const makeCollection = (tenant: VectorTenant): Promise<void> => ensureCollection(tenant.session, tenant.spec);

/** Vectors by chunk: what a tenant should have, wherever they are. */
export type Vectors = Map<string, Buffer>;

let seed = 1;
/** Floats that are no short decimals; among them -0 and a denormal. */
export function newVector(length = dimension): Buffer {
  const numbers = Array.from({ length }, (_, nth) => Math.sin((seed += 1)) * 10 ** (nth % 7));
  numbers[0] = -0;
  numbers[1] = 1e-42;
  return floats(...numbers);
}

/** As pgvector reads it. */
export function vectorText(vector: Buffer): string {
  return `[${Array.from({ length: vector.length / 4 }, (_, nth) => {
    const value = vector.readFloatLE(nth * 4);
    return Object.is(value, -0) ? "-0" : String(value);
  }).join(",")}]`;
}

/** Writes chunks with vectors, as the release on pgvector does. */
export async function writeSource(client: pg.Client, expected: Vectors, ids: readonly string[]): Promise<void> {
  const vectors = ids.map(() => newVector());
  await client.query("INSERT INTO public.chunks (id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING", [ids]);
  await client.query(
    `INSERT INTO public.chunk_embeddings SELECT * FROM unnest($1::uuid[], $2::public.vector[])
     ON CONFLICT (chunk_id) DO UPDATE SET embedding = EXCLUDED.embedding`,
    [ids, vectors.map(vectorText)],
  );
  ids.forEach((id, nth) => expected.set(id, vectors[nth] as Buffer));
}

/** New ids of chunks. */
export const newIds = (count: number): string[] => Array.from({ length: count }, () => randomUUID());

/** First half of a write under the release on Milvus: registered as pending. @returns versions */
export async function register(client: pg.Client, ids: readonly string[]): Promise<Map<string, number>> {
  await client.query("INSERT INTO public.chunks (id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING", [ids]);
  const written = await client.query<{ id: string; version: string }>(
    `INSERT INTO public.chunk_vectors AS present SELECT id, 1, 'pending' FROM unnest($1::uuid[]) AS id
     ON CONFLICT (chunk_id) DO UPDATE SET vector_version = present.vector_version + 1, state = 'pending'
     RETURNING chunk_id AS id, vector_version AS version`,
    [ids],
  );
  return new Map(written.rows.map(({ id, version }) => [id, Number(version)]));
}

/** Second half: the upsert with that version, then ready. */
export async function complete(
  client: pg.Client,
  vectors: TenantVectors,
  expected: Vectors,
  versions: ReadonlyMap<string, number>,
): Promise<void> {
  const ids = [...versions.keys()];
  const written = ids.map(() => newVector());
  await vectors.upsert({ keys: ids, versions: [...versions.values()], vectors: Buffer.concat(written) });
  await client.query("UPDATE public.chunk_vectors SET state = 'ready' WHERE chunk_id = ANY($1)", [ids]);
  ids.forEach((id, nth) => expected.set(id, written[nth] as Buffer));
}

/** Deletes chunks under the release on Milvus: row first, then Milvus. */
export async function erase(
  client: pg.Client,
  vectors: TenantVectors,
  expected: Vectors,
  ids: readonly string[],
): Promise<void> {
  await client.query("DELETE FROM public.chunks WHERE id = ANY($1)", [ids]);
  await vectors.delete(ids);
  ids.forEach((id) => expected.delete(id));
}

/** Digest of keys and floats, in the order of the keys. */
export function digestOf(vectors: Vectors): string {
  const hash = createHash("sha256");
  for (const key of [...vectors.keys()].sort()) hash.update(key).update(vectors.get(key) as Buffer);
  return `${vectors.size} ${hash.digest("hex")}`;
}

/** What pgvector holds, from its binary form. */
export async function readSource(tenant: VectorTenant): Promise<Vectors> {
  const found = await tenant.admin.query<{ id: string; embedding: Buffer }>(
    "SELECT chunk_id::text AS id, public.vector_send(embedding) AS embedding FROM public.chunk_embeddings",
  );
  return new Map(found.rows.map(({ id, embedding }) => [id, Buffer.from(embedding.subarray(4)).swap32()]));
}

/** What Milvus holds of the tenant. */
export async function readSink(tenant: VectorTenant): Promise<Vectors> {
  const { keys, vectors } = await tenant.vectors.read({ lower: null, upper: null });
  const bytes = tenant.vectors.vectorBytes;
  return new Map(keys.map((key, nth) => [key, Buffer.from(vectors.subarray(nth * bytes, (nth + 1) * bytes))]));
}

/** Fails unless a job ended well, and says why it did not. */
export function done(result: TenantResult): TenantResult {
  if (result.status !== "done") throw new Error(`${result.status}: ${result.reason}`);
  return result;
}
