/** How a command ended; the process's exit code follows from it. */
export type Outcome = "go" | "error" | "no-go" | "needs-human";

/** 0 go or done, 1 error, 2 no-go, 3 needs a human or time (2-model). */
export const exitCodes: Readonly<Record<Outcome, number>> = { go: 0, error: 1, "no-go": 2, "needs-human": 3 };

/** What a command hands to the terminal: the same facts for people (`text`) and for programs (`data`). */
export interface Report {
  readonly outcome: Outcome;
  readonly text: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** The text is a document of its own: it goes to stdout as it is, whatever the outcome. @default false */
  readonly isDocument?: boolean;
}

/** A command that stops for a reason of the business, not for a fault: nothing was changed unless a reason says so. */
export class Refusal extends Error {
  readonly outcome: "no-go" | "needs-human";
  readonly reasons: readonly string[];

  constructor(outcome: "no-go" | "needs-human", reasons: readonly string[]) {
    super(reasons.join("\n"));
    this.name = "Refusal";
    this.outcome = outcome;
    this.reasons = reasons;
  }
}

/** The worst of several outcomes: an error beats a no-go beats a wish for a human beats go. */
export function worst(outcomes: readonly Outcome[]): Outcome {
  for (const outcome of ["error", "no-go", "needs-human"] as const) {
    if (outcomes.includes(outcome)) return outcome;
  }
  return "go";
}
