import { randomUUID } from "node:crypto";
import { type CollectionSpec, ensureCollection } from "../../../migrations/milvus/collection.ts";
import { MilvusSession } from "../../../migrations/milvus/session.ts";
import { getMilvus } from "../../servers.ts";

/** A session of `root` on this run's Milvus. */
export async function openRoot(changes: { password?: string; patienceMs?: number } = {}): Promise<MilvusSession> {
  const { address, password } = await getMilvus();
  return MilvusSession.open({ address, username: "root", password, ...changes });
}

/** A spec under a name that nobody has. */
export function newSpec(changes: Partial<CollectionSpec> = {}): CollectionSpec {
  return {
    name: `t_${randomUUID().replaceAll("-", "").slice(0, 12)}`,
    dimension: 8,
    metric: "COSINE",
    index: { type: "HNSW", M: 16, efConstruction: 64 },
    ...changes,
  };
}

/** A new collection, and how it is dropped. */
export async function createCollection(
  session: MilvusSession,
  changes: Partial<CollectionSpec> = {},
): Promise<CollectionSpec> {
  const spec = newSpec(changes);
  await ensureCollection(session, spec);
  return spec;
}

export async function dropCollection(session: MilvusSession, spec: CollectionSpec): Promise<void> {
  await session.ask(`the drop of ${spec.name}`, (client) => client.dropCollection({ collection_name: spec.name }));
}

/** Little-endian float32 of any numbers. */
export function floats(...numbers: number[]): Buffer {
  return Buffer.from(Float32Array.from(numbers).buffer);
}
