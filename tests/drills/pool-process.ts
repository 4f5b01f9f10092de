import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { TenantResult } from "../../migrations/mirror/job.ts";
import type { PoolOrder, PoolReport } from "./pool-entry.ts";
import { isAlive } from "./process-tree.ts";

/** One run of the engine as an update makes it: a parent process with the engine's pool, and its worker. */
export class PoolProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #started: Promise<number>;
  #workerPid: number | undefined;
  #result: TenantResult | undefined;

  constructor(order: PoolOrder) {
    this.#child = fork(join(import.meta.dirname, "pool-entry.ts"), [], {
      execArgv: [],
      // The worker's dying words, of memory above all, are no concern of the reader.
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    this.#ended = once(this.#child, "exit");
    this.#started = new Promise((resolve, reject) => {
      this.#child.on("message", (report: PoolReport) => {
        if ("result" in report) this.#result = report.result;
        else resolve((this.#workerPid = report.workerPid));
      });
      void this.#ended.then(() => reject(new Error("the pool ended before it had started a worker")));
    });
    this.#started.catch(() => {}); // reported by who waits for it
    this.#child.send(order, () => {});
  }

  /** Process id of the worker. @throws {Error} the pool ended before it had started one */
  workerPid(): Promise<number> {
    return this.#started;
  }

  get parentPid(): number {
    return this.#child.pid as number;
  }

  /** Whether the pool has not reported yet. */
  get isRunning(): boolean {
    return this.#result === undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What the pool told of the worker, or undefined when it was killed; the worker is gone as well. */
  async ended(): Promise<TenantResult | undefined> {
    await this.#ended;
    // A worker without its parent ends by itself: nothing here ends it.
    for (let nth = 0; this.#workerPid !== undefined && isAlive(this.#workerPid); nth += 1) {
      if (nth >= 6_000) throw new Error(`worker ${this.#workerPid} has outlived its parent by a minute`);
      await sleep(10);
    }
    return this.#result;
  }

  /** Ends what still runs. */
  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL");
    await this.ended();
  }
}
