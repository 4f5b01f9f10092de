import { setTimeout as sleep } from "node:timers/promises";
import { MilvusError } from "./milvus-error.ts";
import type { MilvusSession } from "./session.ts";
import { dataTypes } from "./wire.ts";

/** How a collection compares vectors. */
export type VectorMetric = "COSINE" | "IP" | "L2";

/** A collection of one release's vectors, all tenants in it: typed data, part of a release. */
export interface CollectionSpec {
  /** Letters, digits and underscores, not a digit first, at most 255 characters. Identity: never changes. */
  readonly name: string;
  /** Floats in every vector, 2 to 32,768. */
  readonly dimension: number;
  readonly metric: VectorMetric;
  readonly index:
    | { readonly type: "FLAT" }
    /** Links of a node, 4 to 64, and the size of the search list while building, 8 to 512. */
    | { readonly type: "HNSW"; readonly M: number; readonly efConstruction: number };
  /**
   * Partitions that the tenants are spread over, 1 to 4,096; more than one only on Milvus 2.3.11 and later: before it, an
   * upsert chose the partition by the id instead of the tenant, and searches by tenant missed most rows
   * (github.com/milvus-io/milvus/issues/30607; seen on 2.3.5). @default 1
   */
  readonly partitions?: number;
}

/** Fields of such a collection. `id` is `<tenant>/<record id>`: two tenants may have the same record ids. */
export const fields = { id: "id", tenant: "tenant", version: "vector_version", vector: "embedding" } as const;

/** Longest `<tenant>/<record id>`, bytes. */
export const idLimitBytes = 128;
const tenantLimitBytes = 64;

/** What a spec may not be, as `property: seen; allowed`. */
export function specFaults(spec: CollectionSpec): string[] {
  const { name, dimension, index, partitions = 1 } = spec;
  const faults: string[] = [];
  if (name.length > 255) faults.push(`name has ${name.length} characters; allowed are 255`);
  if (!/^[a-z_]\w*$/i.test(name))
    faults.push(`name is ${JSON.stringify(name)}; allowed are letters, digits and _, not a digit first`);
  const number = (what: string, seen: number, least: number, most: number): void => {
    if (!Number.isInteger(seen) || seen < least || seen > most)
      faults.push(`${what} is ${seen}; allowed are ${least} to ${most}`);
  };
  number("dimension", dimension, 2, 32_768);
  number("partitions", partitions, 1, 4096);
  if (index.type === "HNSW") {
    number("index.M", index.M, 4, 64);
    number("index.efConstruction", index.efConstruction, 8, 512);
  }
  return faults;
}

/**
 * How the collection that is there differs from its spec; undefined when there is none. Reads only.
 * @throws {MilvusError}
 */
export async function findDifferences(session: MilvusSession, spec: CollectionSpec): Promise<string[] | undefined> {
  const there = await session.ask("the list of collections", (client) => client.listCollections());
  if (!there.data.some(({ name }) => name === spec.name)) return undefined;
  const found = await session.ask(`collection ${spec.name}`, (client) =>
    client.describeCollection({ collection_name: spec.name }),
  );
  const seen = new Map(
    found.schema.fields.map((field) => [
      field.name,
      [
        String(field.data_type),
        field.is_primary_key ? "primary key" : "",
        field.is_partition_key ? "partition key" : "",
        field.name === fields.vector ? `dimension ${paramOf(field.type_params, "dim")}` : "",
      ]
        .filter(Boolean)
        .join(", "),
    ]),
  );
  const wanted = new Map<string, string>([
    [fields.id, "VarChar, primary key"],
    [fields.tenant, "VarChar, partition key"],
    [fields.version, "Int64"],
    [fields.vector, `FloatVector, dimension ${spec.dimension}`],
  ]);
  const differences = [...wanted]
    .filter(([name, kind]) => seen.get(name) !== kind)
    .map(([name, kind]) => `field ${name} is ${seen.get(name) ?? "missing"}, the release wants ${kind}`);
  const metric = await findMetric(session, spec.name);
  if (metric !== undefined && metric !== spec.metric)
    differences.push(`its metric is ${metric}, the release wants ${spec.metric}`);
  return differences;
}

/**
 * Makes the collection, its index, and loads it; one that is there has to be as the spec says. Idempotent.
 * @throws {MilvusError} `mismatched` naming every difference
 */
export async function ensureCollection(session: MilvusSession, spec: CollectionSpec): Promise<void> {
  const faults = specFaults(spec);
  if (faults.length > 0) throw new MilvusError("refused", `collection ${spec.name}: ${faults.join("; ")}`);
  const partitions = await findPartitionFault(session, spec);
  if (partitions !== undefined) throw new MilvusError("refused", partitions);
  const differences = await findDifferences(session, spec);
  if (differences !== undefined && differences.length > 0)
    throw new MilvusError(
      "mismatched",
      `collection ${spec.name} of Milvus at ${session.address}: ${differences.join("; ")}. Another release's vectors may be in it: choose another name in the release, or drop it`,
    );
  if (differences === undefined) await createCollection(session, spec);
  if ((await findMetric(session, spec.name)) === undefined) {
    const { type, ...params } = spec.index;
    await session.ask(`an index on ${spec.name}`, (client) =>
      client.createIndex({
        collection_name: spec.name,
        field_name: fields.vector,
        index_name: fields.vector,
        index_type: type,
        metric_type: spec.metric,
        params,
      }),
    );
  }
  await loadCollection(session, spec.name);
}

/** Loads a collection and waits until it can be searched. @throws {MilvusError} */
export async function loadCollection(session: MilvusSession, name: string): Promise<void> {
  await session.ask(`the loading of ${name}`, (client) => client.loadCollectionAsync({ collection_name: name }));
  const giveUpAt = performance.now() + 120_000;
  for (;;) {
    const { state } = await session.ask(`the load state of ${name}`, (client) =>
      client.getLoadState({ collection_name: name }),
    );
    if (String(state) === "LoadStateLoaded") return;
    if (performance.now() > giveUpAt)
      throw new MilvusError(
        "loading",
        `collection ${name} is ${String(state)} after 120 s; look at Milvus's query nodes`,
      );
    await sleep(100);
  }
}

/** First version whose upsert chooses the partition by the partition key. */
const firstRightUpsert = [2, 3, 11] as const;

/** Why this server cannot spread the collection over as many partitions as the release wants. @throws {MilvusError} */
export async function findPartitionFault(session: MilvusSession, spec: CollectionSpec): Promise<string | undefined> {
  if ((spec.partitions ?? 1) === 1) return undefined;
  const { version } = await session.ask("its version", (client) => client.getVersion());
  const seen = /(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [0, 0, 0];
  const nth = firstRightUpsert.findIndex((part, place) => seen[place] !== part);
  if (nth === -1 || (seen[nth] as number) > (firstRightUpsert[nth] as number)) return undefined;
  return `collection ${spec.name} wants ${spec.partitions} partitions, and Milvus at ${session.address} is ${version}: before ${firstRightUpsert.join(".")} an upsert puts rows into wrong ones. Update Milvus, or let partitions be 1`;
}

async function createCollection(session: MilvusSession, spec: CollectionSpec): Promise<void> {
  await session.ask(`collection ${spec.name}`, (client) =>
    client.createCollection({
      collection_name: spec.name,
      consistency_level: "Strong",
      num_partitions: spec.partitions ?? 1,
      fields: [
        { name: fields.id, data_type: dataTypes.varChar, is_primary_key: true, max_length: idLimitBytes },
        { name: fields.tenant, data_type: dataTypes.varChar, is_partition_key: true, max_length: tenantLimitBytes },
        { name: fields.version, data_type: dataTypes.int64 },
        { name: fields.vector, data_type: dataTypes.floatVector, dim: spec.dimension },
      ],
    }),
  );
}

async function findMetric(session: MilvusSession, name: string): Promise<string | undefined> {
  try {
    const found = await session.ask(`the index of ${name}`, (client) =>
      client.describeIndex({ collection_name: name }),
    );
    const index = found.index_descriptions.find(({ field_name: field }) => field === fields.vector);
    return index === undefined ? undefined : paramOf(index.params, "metric_type");
  } catch (error) {
    if (
      error instanceof MilvusError &&
      (error.reason === "missing" || /index (not found|doesn't exist|not exist)/i.test(error.message))
    )
      return undefined;
    throw error;
  }
}

function paramOf(
  params: readonly { readonly key: string | number; readonly value: string | number | boolean | object }[] | undefined,
  key: string,
): string | undefined {
  const value = params?.find((param) => param.key === key)?.value;
  return value === undefined ? undefined : typeof value === "object" ? JSON.stringify(value) : String(value);
}
