import type { Operation } from "./operation-log.ts";

/** What the users of a tenant are mostly doing. */
export interface WorkloadMix {
  readonly name: string;
  /** Shares of the operations, in per cent of those that change a record the writer has. */
  readonly weights: Readonly<Record<Operation["verb"], number>>;
  /** Whether each writer works on one single record all the time. @default false */
  readonly isHot?: boolean;
  /** A transaction stays open before its COMMIT for up to this time, milliseconds. @default 0 */
  readonly holdMs?: number;
}

/** Some of everything. */
export const mixed: WorkloadMix = { name: "mixed", weights: { insert: 30, update: 45, delete: 10, move: 15 } };

/** Without new keys, which leave a parent without a body: a promotion is refused for such a tenant. */
export const keyless: WorkloadMix = {
  name: "without new keys",
  weights: { insert: 35, update: 50, delete: 15, move: 0 },
};

/** The five ways of writing under which engines of this kind lose rows. */
export const workloads: readonly WorkloadMix[] = [
  { name: "mostly inserts", weights: { insert: 85, update: 5, delete: 5, move: 5 } },
  { name: "mostly updates", weights: { insert: 5, update: 85, delete: 5, move: 5 } },
  { name: "mostly deletes", weights: { insert: 10, update: 5, delete: 80, move: 5 } },
  { name: "mostly new keys", weights: { insert: 5, update: 5, delete: 5, move: 85 } },
  {
    name: "one hot row, held long",
    weights: { insert: 0, update: 100, delete: 0, move: 0 },
    isHot: true,
    holdMs: 400,
  },
];
