import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";

/** Between the answer to one question and the next question, milliseconds. */
const askEveryMs = 100;
/** Answers that a p99 is taken from: the last ones. */
export const probeWindow = 100;

/** Waits so many milliseconds, or until the signal. */
type Pause = (ms: number, value: undefined, options: { readonly signal: AbortSignal }) => Promise<unknown>;

/**
 * Measures what a small write of the users costs while a copy runs: one transaction with one record in the write-ahead log,
 * ten times a second. It writes to no table. A login that may not do so measures nothing.
 */
export class Probe {
  readonly #operator: Pick<pg.Client, "query">;
  readonly #pause: Pause;
  readonly #nowMs: () => number;
  readonly #latenciesMs: number[] = [];
  #askedAtMs: number | undefined;
  readonly #over = new AbortController();
  #running: Promise<void> | undefined;

  /** @param operator session that nothing else keeps busy for long @param nowMs a clock that only goes forward */
  constructor(operator: Pick<pg.Client, "query">, pause: Pause = sleep, nowMs: () => number = () => performance.now()) {
    this.#operator = operator;
    this.#pause = pause;
    this.#nowMs = nowMs;
  }

  start(): this {
    this.#running = this.#ask().catch(() => {}); // no right to, or no server any more: the copy itself will tell
    return this;
  }

  /** Ends with the question under way. */
  async stop(): Promise<void> {
    this.#over.abort();
    await this.#running;
  }

  /** The second longest of the last hundred answers, milliseconds; undefined before there were as many. */
  get p99Ms(): number | undefined {
    // One that has not come yet takes at least as long as it has been waited for.
    const present = this.#askedAtMs === undefined ? [] : [this.#nowMs() - this.#askedAtMs];
    const last = [...this.#latenciesMs, ...present].slice(-probeWindow).sort((one, other) => one - other);
    return last.length < probeWindow ? undefined : last[probeWindow - 2];
  }

  async #ask(): Promise<void> {
    const { signal } = this.#over;
    while (!signal.aborted) {
      this.#askedAtMs = this.#nowMs();
      await this.#operator.query("SELECT pg_logical_emit_message(true, 'rc-probe', '')");
      this.#latenciesMs.push(this.#nowMs() - this.#askedAtMs);
      this.#askedAtMs = undefined;
      if (this.#latenciesMs.length > probeWindow) this.#latenciesMs.shift();
      await this.#pause(askEveryMs, undefined, { signal });
    }
  }
}
