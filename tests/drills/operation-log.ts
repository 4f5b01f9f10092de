import { createHash } from "node:crypto";

export type BodyKind = "prompt" | "message";

/** What a writer knows of one transaction: committed, rolled back, or the answer to COMMIT never came. */
export type Outcome = "ok" | "failed" | "unknown";

/** One transaction of a writer: bodies that it puts there, and records that it takes away. */
export interface Operation {
  readonly verb: "insert" | "update" | "delete" | "move";
  readonly kind: BodyKind;
  readonly id: string;
  /** Where a move puts the body. */
  readonly to?: string;
  /** Body that an insert or update writes. */
  readonly body?: string;
  /** SHA-256 of the body afterwards; absent after a delete. */
  readonly digest?: string;
}

/** Name of a record: `prompt 4f…`. */
export function recordName(kind: BodyKind, id: string): string {
  return `${kind} ${id}`;
}

/** SHA-256 of a body, lower-case hex. */
export function bodyDigest(body: string): string {
  return createHash("sha256").update(body, "utf8").digest("hex");
}

/**
 * What may be in the database, from what the writers were told. Each record has one writer, so its operations have an
 * order; digests only, so that a long run stays small.
 */
export class OperationLog {
  readonly #states = new Map<string, Set<string | null>>();
  readonly counts: Record<Outcome, number> = { ok: 0, failed: 0, unknown: 0 };

  /** A record that was there before the first operation. */
  begin(kind: BodyKind, id: string, digest: string): void {
    this.#states.set(recordName(kind, id), new Set([digest]));
  }

  add(operation: Operation, outcome: Outcome): void {
    this.counts[outcome] += 1;
    const { kind, id, to } = operation;
    const digest = operation.digest ?? null;
    if (to === undefined) return this.#become(recordName(kind, id), digest, outcome);
    this.#become(recordName(kind, id), null, outcome);
    this.#become(recordName(kind, to), digest, outcome);
  }

  /** What a record may be now: digests, null for absent. */
  mayBe(record: string): ReadonlySet<string | null> {
    return this.#states.get(record) ?? new Set([null]);
  }

  records(): Iterable<string> {
    return this.#states.keys();
  }

  #become(record: string, digest: string | null, outcome: Outcome): void {
    const before = this.mayBe(record);
    if (outcome === "ok") this.#states.set(record, new Set([digest]));
    else if (outcome === "unknown") this.#states.set(record, new Set([...before, digest]));
    else this.#states.set(record, new Set(before));
  }
}
