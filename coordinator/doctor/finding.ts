import type { Outcome } from "../outcome.ts";

/** What looking at one thing found. */
export interface Finding {
  /** Part of the platform, e.g. `postgres local`. */
  readonly subject: string;
  readonly outcome: Exclude<Outcome, "error">;
  /** What was seen. */
  readonly found: string;
  /** The command or edit that mends it; absent when nothing has to be mended. */
  readonly mend?: string;
}

export const fine = (subject: string, found: string): Finding => ({ subject, outcome: "go", found });
export const missing = (subject: string, found: string, mend: string): Finding => ({
  subject,
  outcome: "no-go",
  found,
  mend,
});
export const toDecide = (subject: string, found: string, mend: string): Finding => ({
  subject,
  outcome: "needs-human",
  found,
  mend,
});

/** A look that fails is a finding too: the others must still be told. */
export async function looked(subject: string, mend: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [missing(subject, error instanceof Error ? error.message : String(error), mend)];
  }
}
