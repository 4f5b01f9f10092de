/**
 * Why Milvus did not do what it was asked. Worth another try later: `unreachable`, `overloaded` (rate or memory limit),
 * `loading`. About the caller: `denied`. About the collection: `missing`, `mismatched` (another dimension, metric or key).
 * `no-status`: a reply without a status, which says nothing of what was done. Anything else: `refused`.
 */
export type MilvusFailure =
  "unreachable" | "overloaded" | "loading" | "denied" | "missing" | "mismatched" | "no-status" | "refused";

/** The one kind of error of everything in this folder. The message never holds a vector, a key or a password. */
export class MilvusError extends Error {
  override readonly name = "MilvusError";
  readonly reason: MilvusFailure;

  constructor(reason: MilvusFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }

  /** Whether the same request may succeed later without anybody changing it. */
  get isTransient(): boolean {
    return this.reason === "unreachable" || this.reason === "overloaded" || this.reason === "loading";
  }
}
