import type { SeededRandom } from "../workload/seeded-random.ts";
import type { Stage } from "./stage.ts";

/** One case of a drill; the same title and the same random numbers come from the same seed. */
export interface DrillCase {
  readonly title: string;
  /**
   * Throws when a promise was broken. `random` is the case's own: it does not depend on the cases before.
   * @returns a remark for the person who reads along
   */
  run(stage: Stage, random: SeededRandom): Promise<string | void>;
}

/** A family of faults and what has to hold under them. */
export interface Drill {
  readonly name: string;
  /** One line for a person who chooses. */
  readonly about: string;
  /** Whether its cases stop, seal or fill servers, which therefore have to be its own. @default false */
  readonly hasOwnServers?: true;
  /** All cases, the most different ones first, so that a part of them says most. */
  cases(random: SeededRandom): readonly DrillCase[];
  /** Ends what its cases share. */
  close?(): Promise<void>;
}

/** The items in an order that depends on the random numbers alone. */
export function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const left = [...items];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(random.below(left.length), 1));
  return order;
}
