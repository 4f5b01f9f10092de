import { FaultReport } from "../../releases/fault.ts";
import type { Outcome } from "../outcome.ts";
import type { StackReport, Unseen } from "./stack-report.ts";

/** Keeps what could not be looked at: a report with a hole says so, and is still worth reading. */
export class Sight {
  readonly unseen: Unseen[] = [];
  #fault: string[] = [];

  /** What `look` finds, or undefined with the reason kept. */
  async look<T>(what: string, look: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await look();
    } catch (error) {
      if (error instanceof FaultReport)
        this.#fault.push(
          ...error.faults.map(
            ({ path, seen, allowed, mend }) => `${error.subject}: ${path} is ${seen}, allowed is ${allowed}: ${mend}`,
          ),
        );
      this.miss(what, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  miss(what: string, why: string): void {
    if (!this.unseen.some((each) => each.what === what)) this.unseen.push({ what, why });
  }

  /** The report of an environment of which nothing could be read; what was looked for last says why. */
  blank(environment: string): StackReport {
    const outcome: Outcome = "error";
    return {
      format: 1,
      environment,
      outcome,
      blockers: this.#fault.length > 0 ? this.#fault : this.unseen.map(({ why }) => why),
      unseen: [{ what: "everything", why: "see what stands in the way" }],
      pins: {},
      moves: [],
      positions: [],
      migrations: [],
      waysBack: [],
      changes: null,
      counts: null,
      risks: [],
      gates: [],
      remarks: [],
      releaseNotes: [],
      digest: null,
      approval: null,
    };
  }
}
