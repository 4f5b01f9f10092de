/** One thing a command did, and how long it took. */
export interface Step {
  readonly name: string;
  readonly seconds: number;
}

/** Tells each step when it begins, and keeps its time: at 03:00 people want to see where the minutes go. */
export class StepLog {
  readonly steps: Step[] = [];
  readonly #progress: (line: string) => void;

  constructor(progress: (line: string) => void) {
    this.#progress = progress;
  }

  /** Runs one step; a step that throws is kept with its time too. */
  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#progress(`${name} ...\n`);
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.steps.push({ name, seconds: (performance.now() - start) / 1000 });
    }
  }

  /** One line a step. */
  text(): string {
    const total = this.steps.reduce((sum, { seconds }) => sum + seconds, 0);
    const lines = [...this.steps, { name: "total", seconds: total }];
    return lines.map(({ name, seconds }) => `  ${seconds.toFixed(1).padStart(7)} s  ${name}`).join("\n");
  }
}
