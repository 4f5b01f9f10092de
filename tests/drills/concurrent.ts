import { concurrentEngines } from "./concurrent-engines.ts";
import { concurrentRollbacks } from "./concurrent-rollbacks.ts";
import { concurrentUpdates } from "./concurrent-updates.ts";
import type { Drill } from "./drill.ts";

/** Two who want something of the same tenant or stack. */
export const concurrent: Drill = {
  name: "concurrent",
  about: "two engines, two updates, update against rollback, destroy, refresh, keeper, Ctrl-C, onboarding, suspension",
  cases: () => [...concurrentEngines, ...concurrentUpdates, ...concurrentRollbacks],
};
