/**
 * Parts of replies of Milvus in protobuf's own bytes, written by hand so that a drill does not believe the engine's coder.
 * Appended to a reply, a scalar replaces the one before it and a list grows.
 */
const varint = (field: number, value: number): Buffer => {
  const bytes = [field << 3];
  for (let left = value; ; left >>>= 7) {
    bytes.push(left > 0x7f ? (left & 0x7f) | 0x80 : left);
    if (left <= 0x7f) return Buffer.from(bytes);
  }
};
const chunk = (field: number, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from([(field << 3) | 2, body.length]), body]);

/** Of a `MutationResult`: how many rows were upserted, or the number of one that was not. */
export function mutationReply({ upsertCount, errorIndex }: { upsertCount?: number; errorIndex?: number }): Buffer {
  return Buffer.concat([
    ...(upsertCount === undefined ? [] : [varint(8, upsertCount)]),
    ...(errorIndex === undefined ? [] : [chunk(4, Buffer.from([errorIndex]))]),
  ]);
}

/** A reply of success that says only this. */
export const message = (rest: Buffer): Buffer => Buffer.concat([chunk(1, Buffer.alloc(0)), rest]);

/** Milvus's own words, error code and number. */
export const rateLimited: Buffer = chunk(
  1,
  Buffer.concat([
    varint(1, 49),
    chunk(2, Buffer.from("request is rejected by grpc RateLimiter middleware, please retry later")),
    varint(3, 8),
  ]),
);

/** Changes of replies to reads. */
export const queryReply = {
  /** The column goes under another name. */
  withoutVersions: (reply: Buffer): Buffer =>
    Buffer.from(reply.toString("latin1").replaceAll("vector_version", "vector_versioX"), "latin1"),
  /** Of a `GetLoadStateResponse`: LoadStateLoading. */
  loading: (reply: Buffer): Buffer => Buffer.concat([reply, varint(2, 2)]),
} as const;
