import type { Environment } from "../../releases/environment.ts";
import { horizonDays, mayChangeAt, nextChangeAt } from "../../releases/window.ts";
import { gate } from "./gate.ts";
import type { Gate } from "./gate.ts";

/** Is a change window open? A rollback never asks. */
export function windowGate({ windows }: Environment, now: Date): Gate {
  const made = { id: "window", title: "A change window is open", canOverride: true } as const;
  if (windows.length === 0) return gate({ ...made, outcome: "go", evidence: "none is named: at any time" });
  const named = windows.join("; ");
  if (mayChangeAt(windows, now)) return gate({ ...made, outcome: "go", evidence: `open now (${named})` });
  const next = nextChangeAt(windows, now);
  return gate({
    ...made,
    outcome: "needs-human",
    evidence: `no change window is open now (${named}); repeat inside one, ${
      next === undefined ? `none opens within ${horizonDays} days` : `the next one opens at ${next.toISOString()}`
    }`,
    eligibleAt: next?.toISOString() ?? null,
  });
}
