/** Steps that go through all rows. */
export type ProgressStep = "copied" | "compared";

/** How far a run is with one tenant: plain JSON, a worker sends it to its pool. Never holds keys or payloads. */
export interface TenantProgress {
  readonly tenant: string;
  readonly step: ProgressStep;
  /** Rows of this step that this run has done. */
  readonly rows: number;
  /** Rows that this run has to do, about: from the planner's statistics or the ledger. Absent when those know too few. */
  readonly ofRows?: number;
  /** What the run waits for just now, in words; absent while it goes on. */
  readonly waitsFor?: string;
}

/** Told after each chunk and each compared range; must neither throw nor wait. */
export type OnProgress = (progress: TenantProgress) => void;

/** Counts the rows of a run, and tells whoever follows it. */
export class ProgressCount {
  readonly #tenant: string;
  readonly #onProgress: OnProgress | undefined;
  readonly #done = { copied: 0, compared: 0 };
  readonly #expected = { copied: 0, compared: 0 };

  constructor(tenant: string, onProgress?: OnProgress) {
    this.#tenant = tenant;
    this.#onProgress = onProgress;
  }

  rows(step: ProgressStep): number {
    return this.#done[step];
  }

  /** So many rows more have to be done, about. */
  expect(step: ProgressStep, rows: number): void {
    this.#expected[step] += Math.max(0, rows);
  }

  add(step: ProgressStep, rows: number): void {
    this.#done[step] += rows;
    this.#tell(step);
  }

  /** Nothing goes on for the moment. @param waitsFor in words, e.g. `the pause flag` */
  wait(step: ProgressStep, waitsFor: string): void {
    this.#tell(step, waitsFor);
  }

  #tell(step: ProgressStep, waitsFor?: string): void {
    const [rows, expected] = [this.#done[step], this.#expected[step]];
    const ofRows = expected < rows ? {} : { ofRows: expected };
    this.#onProgress?.({ tenant: this.#tenant, step, rows, ...ofRows, ...(waitsFor && { waitsFor }) });
  }
}
