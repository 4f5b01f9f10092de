import type { Update } from "./update.ts";
import type { ShowLine } from "./wave-progress.ts";

/** Why a node may not run, in the words of the person who has to mend it. */
export interface Refusal {
  /** The input that is refused. */
  readonly property: string;
  /** Thing, value seen, what is allowed, and the command that mends it. */
  readonly reason: string;
}

/** What a node leaves in the state: plain JSON, no counts that change without a change of the world's meaning. */
export interface NodeOutcome {
  /** `done`, `partial` (a deadline ended it, the next update goes on) or `waiting` (a soak has not ended). */
  readonly status: "done" | "partial" | "waiting";
  /** One line for the state and for `coordinator status`. */
  readonly summary: string;
  /** Changes whenever the node has moved something, so that nodes after it look again. */
  readonly epoch: string;
}

/**
 * One kind of migration node: observe, ensure, report - the same flow for a first run, a routine run and a resumed one.
 * `Inputs` is plain JSON with a `kind`; it holds references to credentials (`env:NAME`), never credentials.
 */
export interface MigrationNode<Inputs> {
  /** The resource's id, stable for ever: migrations are never replaced. */
  id(inputs: Inputs): string;
  /**
   * Refusals, read from the live registry; called in preview and before each run. Does no writes.
   * @param before inputs of the last update, as the state has them; empty before the first one
   */
  refusals?(inputs: Inputs, before: Partial<Inputs>): Promise<Refusal[]>;
  /** True when the ledger says that the world is not where the (unchanged) inputs want it. Does no writes. */
  isUnfinished?(inputs: Inputs): Promise<boolean>;
  /**
   * Brings the world to where the inputs want it. Idempotent and resumable.
   *
   * @param show for how far it is
   * @param update that the node is part of. @default one of its own, which begins now
   */
  run(inputs: Inputs, show?: ShowLine, update?: Update): Promise<NodeOutcome>;
}
