import protobuf from "protobufjs/light.js";

/**
 * The three messages of bulk work, wire for wire as Milvus declares them. A packed array of floats is the same bytes as a
 * field of type bytes, so vectors pass as they are: little-endian float32, one behind the other, none of them ever a number
 * of JavaScript's.
 */
const root = protobuf.Root.fromJSON({
  nested: {
    Status: { fields: { error_code: field(1, "int32"), reason: field(2, "string"), code: field(3, "int32") } },
    KeyValuePair: { fields: { key: field(1, "string"), value: field(2, "string") } },
    LongArray: { fields: { data: field(1, "int64", "repeated") } },
    StringArray: { fields: { data: field(1, "string", "repeated") } },
    ScalarField: { fields: { long_data: field(3, "LongArray"), string_data: field(6, "StringArray") } },
    FloatArray: { fields: { data: field(1, "bytes") } },
    VectorField: { fields: { dim: field(1, "int64"), float_vector: field(2, "FloatArray") } },
    FieldData: {
      fields: {
        type: field(1, "int32"),
        field_name: field(2, "string"),
        scalars: field(3, "ScalarField"),
        vectors: field(4, "VectorField"),
      },
    },
    UpsertRequest: {
      fields: {
        db_name: field(2, "string"),
        collection_name: field(3, "string"),
        fields_data: field(5, "FieldData", "repeated"),
        num_rows: field(7, "uint32"),
      },
    },
    MutationResult: {
      fields: {
        status: field(1, "Status"),
        err_index: field(4, "uint32", "repeated"),
        delete_cnt: field(7, "int64"),
        upsert_cnt: field(8, "int64"),
      },
    },
    QueryRequest: {
      fields: {
        db_name: field(2, "string"),
        collection_name: field(3, "string"),
        expr: field(4, "string"),
        output_fields: field(5, "string", "repeated"),
        query_params: field(9, "KeyValuePair", "repeated"),
        // 0 is Strong, and proto3 does not write it.
        consistency_level: field(11, "int32"),
      },
    },
    QueryResults: { fields: { status: field(1, "Status"), fields_data: field(2, "FieldData", "repeated") } },
  },
});

function field(id: number, type: string, rule?: "repeated"): protobuf.IField {
  return rule === undefined ? { id, type } : { id, type, rule };
}

/** Numbers of Milvus's data types that a collection of vectors has. */
export const dataTypes = { int64: 5, varChar: 21, floatVector: 101 } as const;

/** A column of a request or a reply. */
export interface FieldData {
  readonly type: number;
  readonly field_name: string;
  readonly scalars?: {
    readonly long_data?: { readonly data: readonly unknown[] };
    readonly string_data?: { readonly data: readonly string[] };
  };
  readonly vectors?: { readonly dim: unknown; readonly float_vector?: { readonly data: Uint8Array } };
}

/** A request for `Upsert`. */
export interface UpsertRequest {
  readonly db_name: string;
  readonly collection_name: string;
  readonly fields_data: readonly FieldData[];
  readonly num_rows: number;
}

/** A request for `Query`, with strong consistency. */
export interface QueryRequest {
  readonly db_name: string;
  readonly collection_name: string;
  readonly expr: string;
  readonly output_fields: readonly string[];
  readonly query_params: readonly { readonly key: string; readonly value: string }[];
}

/** A reply to `Query`. */
export interface QueryResults {
  readonly status?: { readonly error_code: number; readonly reason: string; readonly code: number } | null;
  readonly fields_data: readonly FieldData[];
}

/** A reply to `Upsert`. */
export interface MutationResult {
  readonly status?: QueryResults["status"];
  readonly err_index: readonly number[];
  readonly upsert_cnt: unknown;
}

type MessageName = "UpsertRequest" | "MutationResult" | "QueryRequest" | "QueryResults";

export function encodeMessage(name: MessageName, message: object): Buffer {
  return root.lookupType(name).encode(message).finish() as Buffer;
}

/** @throws {Error} the bytes are no such message */
export function decodeMessage<T>(name: MessageName, bytes: Buffer): T {
  return root.lookupType(name).decode(bytes) as unknown as T;
}
