/** `go`: do it; `no-go`: it cannot be done now; `needs-human`: somebody has to look and decide. */
export type Outcome = "go" | "no-go" | "needs-human";

/** The answer of a rule. A `no` is an answer, not an exception; its reasons name what stands in the way and the way out. */
export interface Verdict {
  readonly outcome: Outcome;
  /** Under `go` what the reader should know; else why not, and what mends it. */
  readonly reasons: readonly string[];
}

/** One thing a rule found out. */
export interface Finding {
  readonly outcome: Outcome;
  readonly reason: string;
}

/** The worst finding decides; its reasons come first, and notes of milder findings follow. */
export function verdictOf(findings: readonly Finding[]): Verdict {
  const order: readonly Outcome[] = ["no-go", "needs-human", "go"];
  const outcome = order.find((candidate) => findings.some((finding) => finding.outcome === candidate)) ?? "go";
  const sorted = order.flatMap((candidate) => findings.filter((finding) => finding.outcome === candidate));
  return { outcome, reasons: sorted.map((finding) => finding.reason) };
}

/** One line for the outcome and one per reason. */
export function explainVerdict(subject: string, verdict: Verdict): string {
  return [`${subject}: ${verdict.outcome}`, ...verdict.reasons.map((reason) => `  - ${reason}`)].join("\n");
}
