import type { RegistrySession } from "./registry-session.ts";

/** The program that moved something in an environment last. */
export interface RecordedProgram {
  /** What it knew: releases, mirrors and schema revisions, e.g. `release r2`. Programs only ever learn more. */
  readonly knows: readonly string[];
  /** Commit it ran from; undefined when it ran outside of a Git checkout. */
  readonly commit?: string;
  readonly at: Date;
}

/** One row an environment: what an older program must not undo. */
export class Programs {
  readonly #session: RegistrySession;

  constructor(session: RegistrySession) {
    this.#session = session;
  }

  /** undefined: nothing has run here since programs are recorded. */
  async find(environment: string): Promise<RecordedProgram | undefined> {
    const [row] = await this.#session.query<Omit<RecordedProgram, "commit"> & { commit: string | null }>(
      "SELECT knows, git_commit AS commit, at FROM registry.program WHERE environment = $1",
      [environment],
    );
    if (row === undefined) return undefined;
    const { commit, ...rest } = row;
    return { ...rest, ...(commit === null ? {} : { commit }) };
  }

  /** Written before the program changes anything: also a run that is killed has run. */
  async record(environment: string, program: Omit<RecordedProgram, "at">): Promise<void> {
    await this.#session.query(
      `INSERT INTO registry.program (environment, knows, git_commit) VALUES ($1, $2, $3)
       ON CONFLICT (environment) DO UPDATE SET knows = excluded.knows, git_commit = excluded.git_commit, at = now()`,
      [environment, program.knows, program.commit],
    );
  }
}
