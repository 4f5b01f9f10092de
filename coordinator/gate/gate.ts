import { verdictOf } from "../../releases/verdict.ts";
import type { Outcome, Verdict } from "../../releases/verdict.ts";

/** One check before an act, with what was looked at and found. JSON: it is shown, reported and kept as evidence. */
export interface Gate {
  /** Names it in `--override` and in the evidence, e.g. `window` or `blocker:vault-healthy`. */
  readonly id: string;
  /** What it asks, as a statement that holds when it is `go`. */
  readonly title: string;
  readonly outcome: Outcome;
  /** What was found; with a `no`, what mends it. */
  readonly evidence: string;
  /** ISO time from which on it will be `go` by itself; null: time alone does not open it. */
  readonly eligibleAt: string | null;
  /** May a person decide against it with a reason? Never where data or the rules of releases stand behind it. */
  readonly canOverride: boolean;
  /** Who decided against it, and why; null: nobody did. */
  readonly override: string | null;
}

export type NewGate = Pick<Gate, "id" | "title" | "outcome" | "evidence"> & Partial<Gate>;

export function gate(made: NewGate): Gate {
  return { eligibleAt: null, canOverride: false, override: null, ...made };
}

/** The worst gate decides; one that somebody overrode counts as `go` and says so. */
export function verdictOfGates(gates: readonly Gate[]): Verdict {
  return verdictOf(
    gates.map(({ id, outcome, evidence, canOverride, override }) => {
      if (override !== null && outcome !== "go")
        return { outcome: "go", reason: `${id}: ${evidence}; overridden: ${override}` };
      const way = outcome !== "go" && canOverride ? `; or decide: --override ${id}="<reason>"` : "";
      return { outcome, reason: `${evidence}${way}` };
    }),
  );
}

/** The time from which on no gate waits any more; undefined when time alone does not open them. */
export function nextEligible(gates: readonly Gate[]): Date | undefined {
  const shut = gates.filter(({ outcome, override }) => outcome !== "go" && override === null);
  if (shut.length === 0 || shut.some(({ eligibleAt }) => eligibleAt === null)) return undefined;
  return new Date(Math.max(...shut.map(({ eligibleAt }) => Date.parse(eligibleAt ?? ""))));
}

const marks: Readonly<Record<Outcome, string>> = { go: "go", "no-go": "NO-GO", "needs-human": "human" };

/** One line a gate. */
export function explainGate({ id, outcome, evidence, eligibleAt, override }: Gate): string {
  const until = eligibleAt === null || outcome === "go" ? "" : ` (from ${eligibleAt})`;
  return `${marks[outcome].padEnd(5)}  ${id}: ${evidence}${until}${override === null ? "" : `; overridden by ${override}`}`;
}
