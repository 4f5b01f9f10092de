import { ConsistencyLevelEnum, DataType, MilvusClient } from "@zilliz/milvus2-sdk-node";
import type { TestMilvus } from "../../servers.ts";

/** A vector as the stock SDK reads and writes it. */
export interface StockVector {
  readonly key: string;
  readonly version: number;
  /** Little-endian float32. */
  readonly floats: Buffer;
}

/**
 * One tenant's rows in one collection, by Milvus's own SDK: what the oracle reads and what the services of R3 write. Nothing
 * of the engine's is in it.
 */
export class StockMilvus {
  readonly #client: MilvusClient;
  readonly #collection: string;
  readonly #tenant: string;

  private constructor(client: MilvusClient, collection: string, tenant: string) {
    this.#client = client;
    this.#collection = collection;
    this.#tenant = tenant;
  }

  static async open({ address, password }: TestMilvus, collection: string, tenant: string): Promise<StockMilvus> {
    const client = new MilvusClient({ address, username: "root", password, telemetry: { enabled: false } });
    await client.connectPromise;
    return new StockMilvus(client, collection, tenant);
  }

  get client(): MilvusClient {
    return this.#client;
  }

  /** All rows of the tenant by key; none when there is no such collection. */
  async read(): Promise<Map<string, StockVector>> {
    const there = await this.#client.hasCollection({ collection_name: this.#collection });
    if (!there.value) return new Map();
    const found = await this.#client.query({
      collection_name: this.#collection,
      filter: `tenant == "${this.#tenant}"`,
      output_fields: ["id", "vector_version", "embedding"],
      consistency_level: ConsistencyLevelEnum.Strong,
      limit: 16_384,
    });
    succeed("a query", found.status);
    const rows = found.data.map((row) => ({
      key: String(row["id"]).slice(this.#tenant.length + 1),
      version: Number(row["vector_version"]),
      floats: Buffer.from(Float32Array.from(row["embedding"] as number[]).buffer),
    }));
    const byKey = new Map(rows.map((row) => [row.key, row]));
    if (byKey.size !== rows.length) throw new Error(`Milvus holds ${rows.length - byKey.size} keys twice`);
    return byKey;
  }

  async write(rows: readonly StockVector[]): Promise<void> {
    if (rows.length === 0) return;
    const reply = await this.#client.upsert({
      collection_name: this.#collection,
      data: rows.map(({ key, version, floats }) => ({
        id: `${this.#tenant}/${key}`,
        tenant: this.#tenant,
        vector_version: version,
        embedding: [...new Float32Array(Uint8Array.from(floats).buffer)],
      })),
    });
    succeed("an upsert", reply.status);
  }

  async delete(keys: readonly string[]): Promise<void> {
    if (keys.length === 0) return;
    const ids = keys.map((key) => JSON.stringify(`${this.#tenant}/${key}`));
    const reply = await this.#client.delete({ collection_name: this.#collection, filter: `id in [${ids.join(",")}]` });
    succeed("a delete", reply.status);
  }

  async dropCollection(): Promise<void> {
    succeed("a drop", await this.#client.dropCollection({ collection_name: this.#collection }));
  }

  /** A collection of this name with the fields of ours, another dimension and metric. */
  async makeOther(dimension: number, metric: "L2" | "IP"): Promise<void> {
    const made = await this.#client.createCollection({
      collection_name: this.#collection,
      num_partitions: 1,
      fields: [
        { name: "id", data_type: DataType.VarChar, is_primary_key: true, max_length: 128 },
        { name: "tenant", data_type: DataType.VarChar, is_partition_key: true, max_length: 64 },
        { name: "vector_version", data_type: DataType.Int64 },
        { name: "embedding", data_type: DataType.FloatVector, dim: dimension },
      ],
    });
    succeed("a collection", made);
    const index = { field_name: "embedding", index_name: "embedding", index_type: "FLAT", metric_type: metric };
    succeed("an index", await this.#client.createIndex({ collection_name: this.#collection, ...index }));
  }

  async close(): Promise<void> {
    await this.#client.closeConnection();
  }
}

function succeed(asked: string, status: { readonly error_code?: unknown; readonly reason?: string }): void {
  if (status.error_code !== "Success") throw new Error(`Milvus refused ${asked}: ${status.reason}`);
}
