/**
 * One update of the stack, as its nodes share it: when it began, and whether somebody has asked for its end. Neither is an
 * input: the nodes of the next update would differ from themselves. Pulumi starts the provider's process for an update and
 * ends it with it, so that there the process is the update (`migrations/provider.ts`).
 */
export class Update {
  /** Unix time, milliseconds. */
  readonly startedAtMs: number;
  readonly #stop = new AbortController();

  /** @param startedAtMs Unix time, milliseconds. @default now */
  constructor(startedAtMs = Date.now()) {
    this.startedAtMs = startedAtMs;
  }

  /** Unix time in milliseconds at which the update has lasted so long: the time its earlier nodes took counts. */
  deadlineMs(seconds: number): number {
    return this.startedAtMs + seconds * 1000;
  }

  /** Nothing further is begun, by any node. */
  cancel(): void {
    this.#stop.abort();
  }

  get isCancelled(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Aborted by `cancel`. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }
}
