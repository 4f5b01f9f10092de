import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { heedFlags, holdEpoch, PausedError, TakenOverError } from "../ledger/epoch.ts";
import type { MirrorState } from "../ledger/position.ts";
import type { ConnectOptions } from "../postgres/connect.ts";
import { inTransaction, type RetryOptions } from "../postgres/transaction.ts";
import type { TenantJob } from "./job.ts";
import { type OnProgress, ProgressCount } from "./progress.ts";

/** The time of this run is over: it ends `partial` and the next one goes on. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";
}

/** Between two looks at a pause flag that is set, milliseconds. */
const pauseLookMs = 500;

/** Sessions of one run. All of them are direct; only `control` holds the tenant's advisory lock. */
export interface RunSessions {
  /** Advisory lock, keysets and plain reads; never inside a transaction. */
  readonly control: pg.Client;
  /** Every change of data. */
  readonly writer: pg.Client;
  /** Reads ahead. */
  readonly reader: pg.Client;
  /** With the login's own role: may end sessions that stand in the way. */
  readonly operator: pg.Client;
}

/** What a run may do without. */
export interface RunOptions {
  readonly onProgress?: OnProgress | undefined;
  /** Cancel and pause are for updates; whoever looks for a pause itself, and is none, may go past both. @default true */
  readonly heedsFlags?: boolean;
}

/** One run on one tenant: its sessions, its epochs, its time. */
export class Run {
  readonly job: TenantJob;
  readonly sessions: RunSessions;
  /** How further sessions on the tenant's database are opened, with the engine's role. */
  readonly connection: Omit<ConnectOptions, "applicationName">;
  readonly #epochs: Map<string, bigint>;
  readonly #heedsFlags: boolean;
  readonly #endings: (() => Promise<void>)[] = [];
  /** Rows copied and compared so far. */
  readonly progress: ProgressCount;

  constructor(
    job: TenantJob,
    sessions: RunSessions,
    connection: Omit<ConnectOptions, "applicationName">,
    epochs: ReadonlyMap<string, bigint>,
    { onProgress, heedsFlags = true }: RunOptions = {},
  ) {
    this.job = job;
    this.sessions = sessions;
    this.connection = connection;
    this.#epochs = new Map(epochs);
    this.#heedsFlags = heedsFlags;
    this.progress = new ProgressCount(job.tenant, onProgress);
  }

  /** After a cutover of this run's own: it has raised the epoch by one. */
  advanceEpoch(mirror: string): void {
    this.#epochs.set(mirror, this.epochOf(mirror) + 1n);
  }

  /** Every mirror that this run has taken over, in one order for all runs. */
  get mirrors(): readonly string[] {
    return [...this.#epochs.keys()].sort();
  }

  epochOf(mirror: string): bigint {
    const epoch = this.#epochs.get(mirror);
    if (epoch === undefined) throw new TakenOverError(`mirror ${mirror} was not taken over by this run`);
    return epoch;
  }

  /** Has something ended with the run, e.g. a connection. */
  onEnd(ending: () => Promise<void>): void {
    this.#endings.push(ending);
  }

  /** Ends what was opened for this run besides its sessions. */
  async end(): Promise<void> {
    await Promise.allSettled(this.#endings.splice(0).map((ending) => ending()));
  }

  /** @throws {DeadlineError} */
  checkDeadline(): void {
    if (Date.now() >= this.job.deadlineMs) {
      throw new DeadlineError(`tenant ${this.job.tenant}: the run's time is over; the next update goes on`);
    }
  }

  /** Until the next look at a pause flag that is set. */
  async waitOutPause(): Promise<void> {
    this.progress.wait("copied", "the pause flag, which is set");
    await sleep(pauseLookMs);
  }

  /**
   * A writing transaction on a mirror: begins by holding the epoch, is repeated after passing errors, waits while the
   * pause flag is set.
   *
   * @throws {TakenOverError} @throws {CancelledError} @throws {DeadlineError}
   */
  async write<T>(
    mirror: string,
    work: (client: pg.Client, state: MirrorState) => Promise<T>,
    options: RetryOptions = {},
  ): Promise<T> {
    for (;;) {
      this.checkDeadline();
      try {
        return await inTransaction(
          this.sessions.writer,
          async (client) => {
            const state = await holdEpoch(client, mirror, this.epochOf(mirror));
            if (this.#heedsFlags) heedFlags(state);
            return work(client, state);
          },
          options,
        );
      } catch (error) {
        if (!(error instanceof PausedError)) throw error;
        await this.waitOutPause();
      }
    }
  }
}
