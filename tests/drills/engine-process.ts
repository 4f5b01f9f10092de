import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { FaultPoint } from "../../migrations/mirror/fault-point.ts";
import type { JobKind, TenantJob, TenantResult } from "../../migrations/mirror/job.ts";
import type { WorkerReport } from "../../migrations/mirror/worker.ts";

/** A fault point at which a run dies or stops; `name:2` is the second time it is reached. */
export type FaultPlace = FaultPoint | `${FaultPoint}:${number}`;

/** What a run is to suffer. */
export interface Fault {
  readonly at: FaultPlace;
  /** Killed as by a power cut, or stopped as a paused machine. @default "SIGKILL" */
  readonly signal?: "SIGKILL" | "SIGSTOP";
}

/**
 * One run of the engine on one tenant, in the process in which it really runs (migrations/mirror/worker.ts). The folder
 * of the engine is an argument: a copy with a seeded bug is run in the same way.
 */
export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<[number | null, NodeJS.Signals | null]>;
  #result: TenantResult | undefined;

  constructor(migrationsFolder: string, kind: JobKind, job: TenantJob, fault?: Fault) {
    const faultEnvironment =
      fault === undefined ? {} : { RC_FAULT_POINT: fault.at, RC_FAULT_SIGNAL: fault.signal ?? "SIGKILL" };
    this.#child = fork(join(migrationsFolder, "mirror", "worker.ts"), [], {
      execArgv: [],
      env: { ...process.env, ...faultEnvironment },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#ended = once(this.#child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
    this.#child.on("message", (message) => {
      const report = message as WorkerReport;
      if ("result" in report) this.#result = report.result;
    });
    this.#child.send({ kind, job }, () => {}); // a process that ends at once is reported by `ended`
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Its report, or undefined when it was killed before it could give one. */
  async ended(): Promise<TenantResult | undefined> {
    await this.#ended;
    return this.#result;
  }

  /** Until it stands at its SIGSTOP. @throws {Error} it ended without getting there */
  async stopped(): Promise<void> {
    for (;;) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`the run ended without reaching its stop: ${this.#result?.reason ?? "done"}`);
      }
      const state = await readFile(`/proc/${this.#child.pid}/stat`, "utf8").catch(() => "");
      if (/^\d+ \(.*\) T /.test(state)) return;
      await sleep(10);
    }
  }

  /** Lets a stopped run go on. */
  wake(): void {
    this.#child.kill("SIGCONT");
  }

  /** Ends it if it still runs, stopped or not. */
  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill("SIGKILL");
    await this.#ended;
  }
}
