import pLimit from "p-limit";
import { type CollectionSpec, fields, idLimitBytes } from "./collection.ts";
import { MilvusError } from "./milvus-error.ts";
import type { MilvusSession } from "./session.ts";
import {
  dataTypes,
  decodeMessage,
  encodeMessage,
  type FieldData,
  type MutationResult,
  type QueryResults,
} from "./wire.ts";

/** Rows of one tenant, column by column; the nth of each belong together. */
export interface VectorRows {
  /** Record ids, without the tenant. */
  readonly keys: readonly string[];
  readonly versions: readonly number[];
  /** Little-endian float32, `dimension` of them a row, one row behind the other. */
  readonly vectors: Buffer;
}

/** Record ids above `lower`, up to and including `upper`, in the order of their bytes; null is no bound. */
export interface KeySpan {
  readonly lower: string | null;
  readonly upper: string | null;
}

/** Bytes of a request, about: Milvus takes 64 MiB, and is fastest between 2 and 8. */
export const requestBytes = 4 * 1024 * 1024;
/** Requests under way at once. Never two with the same key: the rows of one call are split, each key once. */
export const requestsInFlight = 3;
/** Keys named in one filter. */
const keysAtOnce = 500;

/** One tenant's vectors in one collection: every request carries the tenant, every read is strongly consistent. */
export class TenantVectors {
  readonly #session: MilvusSession;
  readonly #spec: CollectionSpec;
  readonly #tenant: string;

  /** @throws {MilvusError} the tenant's name cannot stand in a filter */
  constructor(session: MilvusSession, spec: CollectionSpec, tenant: string) {
    if (!/^[a-z][\w-]{0,62}$/i.test(tenant))
      throw new MilvusError(
        "refused",
        `tenant ${JSON.stringify(tenant)}: allowed are letters, digits, - and _, at most 63`,
      );
    this.#session = session;
    this.#spec = spec;
    this.#tenant = tenant;
  }

  /** Bytes of one vector. */
  get vectorBytes(): number {
    return this.#spec.dimension * 4;
  }

  /**
   * Writes rows, whether they are there or not, and waits until Milvus has acknowledged every one.
   * @throws {MilvusError} also when it acknowledged fewer
   */
  async upsert(rows: VectorRows): Promise<void> {
    const count = rows.keys.length;
    if (rows.vectors.length !== count * this.vectorBytes || rows.versions.length !== count)
      throw new RangeError(
        `${count} keys with ${rows.versions.length} versions and ${rows.vectors.length} bytes of vectors`,
      );
    if (new Set(rows.keys).size !== count)
      throw new RangeError("a key twice in one upsert: which would win is not defined");
    const step = Math.max(1, Math.floor(requestBytes / (this.vectorBytes + idLimitBytes)));
    const limit = pLimit(requestsInFlight);
    const starts = Array.from({ length: Math.ceil(count / step) }, (_, nth) => nth * step);
    // All of them end before a failure is told: nothing of this call may still be under way afterwards.
    const ended = await Promise.allSettled(
      starts.map((start) => limit(() => this.#upsertOnce(rows, start, Math.min(count, start + step)))),
    );
    const failed = ended.find((one) => one.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /** Rows in a span, in the order of their keys' bytes. */
  async read(span: KeySpan): Promise<VectorRows> {
    return this.#query(this.#within(span));
  }

  /** Those of the rows with these keys that are there, in the order of their keys' bytes. */
  async readKeys(keys: readonly string[]): Promise<VectorRows> {
    const found: VectorRows[] = [];
    for (let start = 0; start < keys.length; start += keysAtOnce)
      found.push(await this.#query(this.#filter(keys.slice(start, start + keysAtOnce))));
    return inOrder({
      keys: found.flatMap((one) => one.keys),
      versions: found.flatMap((one) => one.versions),
      vectors: Buffer.concat(found.map((one) => one.vectors)),
    });
  }

  /** Versions of the rows in a span by key, without the vectors. */
  async readVersions(span: KeySpan): Promise<Map<string, number>> {
    const { fields_data: columns } = await this.#exchange(this.#within(span), [fields.id, fields.version]);
    const { keys, versions } = this.#named(columns);
    return new Map(keys.map((key, nth) => [key, versions[nth] as number]));
  }

  /** Keys of the rows nearest to a vector, the nearest first. @param floats little-endian */
  async search(floats: Buffer, limit: number): Promise<string[]> {
    const vector = Array.from({ length: this.#spec.dimension }, (_, nth) => floats.readFloatLE(nth * 4));
    const { results } = await this.#session.ask("a search", (client) =>
      client.search({
        collection_name: this.#spec.name,
        data: vector,
        limit,
        filter: this.#own,
        output_fields: [fields.id],
        params: { ef: searchList },
      }),
    );
    return results.map(({ id }) => String(id).slice(this.#tenant.length + 1));
  }

  /** Rows that are there now. */
  async count(): Promise<number> {
    const reply = await this.#exchange(this.#own, ["count(*)"]);
    const counted = reply.fields_data[0]?.scalars?.long_data?.data[0];
    if (counted === undefined) throw new MilvusError("no-status", "Milvus answered a count without a number");
    return Number(counted);
  }

  /** Deletes the rows with these keys; those that are not there are fine. */
  async delete(keys: readonly string[]): Promise<void> {
    for (let start = 0; start < keys.length; start += keysAtOnce) {
      const filter = this.#filter(keys.slice(start, start + keysAtOnce));
      await this.#session.ask("a delete", (client) => client.delete({ collection_name: this.#spec.name, filter }));
    }
  }

  /** Deletes all rows of the tenant, and looks that none is left. @throws {MilvusError} */
  async deleteAll(): Promise<void> {
    for (;;) {
      const page = await this.#exchange(this.#own, [fields.id], deletePage);
      const ids = page.fields_data.find((one) => one.field_name === fields.id)?.scalars?.string_data?.data ?? [];
      if (ids.length === 0) return;
      await this.delete(ids.map((id) => id.slice(this.#tenant.length + 1)));
    }
  }

  /** Has Milvus write what it has acknowledged from its log into segments; what is acknowledged is durable before. */
  async flush(): Promise<void> {
    await this.#session.ask(`a flush of ${this.#spec.name}`, (client) =>
      client.flushSync({ collection_names: [this.#spec.name] }),
    );
  }

  get #own(): string {
    return `${fields.tenant} == "${this.#tenant}"`;
  }

  #within({ lower, upper }: KeySpan): string {
    const bound = (sign: string, key: string | null): string[] =>
      key === null ? [] : [`${fields.id} ${sign} ${this.#idLiteral(key)}`];
    return [this.#own, ...bound(">", lower), ...bound("<=", upper)].join(" && ");
  }

  #filter(keys: readonly string[]): string {
    return `${this.#own} && ${fields.id} in [${keys.map((key) => this.#idLiteral(key)).join(",")}]`;
  }

  #idLiteral(key: string): string {
    return JSON.stringify(`${this.#tenant}/${key}`);
  }

  async #upsertOnce(rows: VectorRows, start: number, end: number): Promise<void> {
    const strings = (data: string[]) => ({ scalars: { string_data: { data } } });
    const request = encodeMessage("UpsertRequest", {
      db_name: this.#session.database,
      collection_name: this.#spec.name,
      num_rows: end - start,
      fields_data: [
        {
          type: dataTypes.varChar,
          field_name: fields.id,
          ...strings(rows.keys.slice(start, end).map((key) => `${this.#tenant}/${key}`)),
        },
        {
          type: dataTypes.varChar,
          field_name: fields.tenant,
          ...strings(new Array<string>(end - start).fill(this.#tenant)),
        },
        {
          type: dataTypes.int64,
          field_name: fields.version,
          scalars: { long_data: { data: rows.versions.slice(start, end) } },
        },
        {
          type: dataTypes.floatVector,
          field_name: fields.vector,
          vectors: {
            dim: this.#spec.dimension,
            float_vector: { data: rows.vectors.subarray(start * this.vectorBytes, end * this.vectorBytes) },
          },
        },
      ],
    });
    const reply = await this.#session.exchange("Upsert", request, (bytes) =>
      decodeMessage<MutationResult>("MutationResult", bytes),
    );
    const written = Number(reply.upsert_cnt);
    if (reply.err_index.length > 0 || written !== end - start)
      throw new MilvusError("refused", `Milvus acknowledged ${written} of ${end - start} rows of an upsert`);
  }

  async #query(filter: string): Promise<VectorRows> {
    const { fields_data: columns } = await this.#exchange(filter, [fields.id, fields.version, fields.vector]);
    const { keys, versions } = this.#named(columns);
    const bytes = columnOf(columns, fields.vector)?.vectors?.float_vector?.data ?? new Uint8Array();
    if (bytes.length !== keys.length * this.vectorBytes)
      throw new MilvusError(
        "refused",
        `Milvus answered a query with ${keys.length} keys and ${bytes.length} bytes of vectors`,
      );
    return inOrder({
      keys,
      versions,
      // A field that is not there is an empty list of protobufjs's, which has no buffer.
      vectors: bytes.length === 0 ? Buffer.alloc(0) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
    });
  }

  /** Keys without the tenant, and versions, of a reply. */
  #named(columns: readonly FieldData[]): Pick<VectorRows, "keys" | "versions"> {
    const ids = columnOf(columns, fields.id)?.scalars?.string_data?.data ?? [];
    const versions = (columnOf(columns, fields.version)?.scalars?.long_data?.data ?? []).map(Number);
    if (versions.length !== ids.length)
      throw new MilvusError(
        "refused",
        `Milvus answered a query with ${ids.length} keys and ${versions.length} versions`,
      );
    const prefix = `${this.#tenant}/`;
    if (!ids.every((id) => id.startsWith(prefix)))
      throw new MilvusError(
        "refused",
        `collection ${this.#spec.name} holds rows of tenant ${this.#tenant} under other names`,
      );
    return { keys: ids.map((id) => id.slice(prefix.length)), versions };
  }

  async #exchange(expr: string, outputFields: readonly string[], limit?: number): Promise<QueryResults> {
    const request = encodeMessage("QueryRequest", {
      db_name: this.#session.database,
      collection_name: this.#spec.name,
      expr,
      output_fields: outputFields,
      query_params: limit === undefined ? [] : [{ key: "limit", value: String(limit) }],
    });
    return this.#session.exchange("Query", request, (bytes) => decodeMessage<QueryResults>("QueryResults", bytes));
  }
}

const deletePage = 10_000;

/** Candidates that an HNSW index keeps while it searches. */
const searchList = 128;

const columnOf = (columns: readonly FieldData[], name: string): FieldData | undefined =>
  columns.find((one) => one.field_name === name);

function inOrder(rows: VectorRows): VectorRows {
  const { keys } = rows;
  if (keys.every((key, nth) => nth === 0 || (keys[nth - 1] as string) < key)) return rows;
  const rowBytes = keys.length === 0 ? 0 : rows.vectors.length / keys.length;
  const order = keys.map((_, nth) => nth).sort((a, b) => ((keys[a] as string) < (keys[b] as string) ? -1 : 1));
  return {
    keys: order.map((nth) => keys[nth] as string),
    versions: order.map((nth) => rows.versions[nth] as number),
    vectors: Buffer.concat(order.map((nth) => rows.vectors.subarray(nth * rowBytes, (nth + 1) * rowBytes))),
  };
}
