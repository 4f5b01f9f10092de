/** One update of a stack, as its backend remembers it. */
export interface HistoryEntry {
  readonly kind: string;
  readonly result: "succeeded" | "failed" | "in-progress" | "not-started";
  readonly startedAt: Date;
  readonly endedAt: Date | undefined;
  readonly message: string;
  /** Commit the program ran from; undefined when it ran outside a Git checkout. */
  readonly gitHead: string | undefined;
  /** The parsed object of `release-coordinator:environment`; undefined when the entry has none (other project, secret). */
  readonly environment: unknown;
}

/** What was read, newest first, and what could not be read: nobody should believe a silent gap. */
export interface HistoryReading {
  readonly entries: readonly HistoryEntry[];
  readonly warnings: readonly string[];
}

/** The past of one stack. Every backend has one implementation. */
export interface History {
  read(): Promise<HistoryReading>;
}

/** Config key under which the environment stands in every stack file and history entry. */
export const environmentKey = "release-coordinator:environment";
