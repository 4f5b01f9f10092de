import type { CollectionSpec } from "../milvus/collection.ts";

/** One leaf table of (key, payload) and its second copy. Both are in schema public and keep the same key. */
export interface MirrorPair {
  /** Table that holds the payload in clear. Also the pair's name in the ledger: never changes. */
  readonly source: string;
  /** Table that holds it sealed. */
  readonly sink: string;
  /** Column or columns of the primary key, the same names in both tables. */
  readonly key: string | readonly string[];
  /** Column with the value: text in the source and, under the same name, bytea in a sealed sink; or a vector. */
  readonly payload: string;
  /**
   * Column of a sink that only registers what lies elsewhere, e.g. in Milvus: a bigint, raised by every write; a column
   * `state` says `pending` or `ready`. @default the sink holds the value itself
   */
  readonly version?: string;
  /**
   * Index by which the release on the source searches it: not maintained while the source is rebuilt, and there again before
   * authority returns. Its name is the one that Alembic gives it. @default none
   */
  readonly sourceIndex?: {
    readonly name: string;
    readonly method: "hnsw";
    /** Operator class, without its schema. */
    readonly operators: "vector_cosine_ops" | "vector_ip_ops" | "vector_l2_ops";
  };
  /** Logical kind in the associated data, e.g. `prompt.body`; never changes. */
  readonly kind: string;
  /** Table that the key refers to (on delete cascade); absent = no foreign key. */
  readonly parent?: string;
  /** Columns of the parent that the key refers to, as many as the key has. */
  readonly parentKey?: string | readonly string[];
}

/** A second copy of some data kept equal to the first until authority moves. */
export interface MirrorDefinition {
  /** Name in releases, ledger and config, e.g. `prompt-encryption`; never changes. */
  readonly name: string;
  /** Class of the tenant's keyset that seals the payloads; absent when nothing is sealed. */
  readonly keysetClass?: string;
  /** Collection of Milvus that holds the vectors of the sink; absent when the sink's table does. */
  readonly collection?: CollectionSpec;
  readonly pairs: readonly MirrorPair[];
}

/** A single column or several, as a list. */
export function columnsOf(key: string | readonly string[]): readonly string[] {
  return typeof key === "string" ? [key] : key;
}
