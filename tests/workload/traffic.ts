import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { SeededRandom } from "./seeded-random.ts";
import { ServiceClient } from "./service-client.ts";
import { Belongings, inheritable } from "./traffic-belongings.ts";
import { replay } from "./traffic-history.ts";
import { readTrafficLog, TrafficLog } from "./traffic-log.ts";
import { summary, type TrafficSummary } from "./traffic-summary.ts";
import { TrafficWorker, type TrafficWeights } from "./traffic-worker.ts";

export { summary, type TrafficSummary } from "./traffic-summary.ts";
export { TRAFFIC_MARKER } from "./traffic-text.ts";

export interface TrafficArgs {
  /** The gateway, or one base URL per resource where there is none. */
  readonly gateway: ConstructorParameters<typeof ServiceClient>[0];
  /** Asked before every operation, so that tenants can join and leave; none of them = wait. */
  readonly tenants: () => readonly string[];
  /** Continued when it exists. */
  readonly logFile: string;
  /** Any integer: the same seed draws the same operations. */
  readonly seed: number;
  /** Operations per second of all workers together, above 0. */
  readonly ratePerS: number;
  /** 1 to 64. @default 4 */
  readonly workers?: number;
  /** Sentences that bodies are made of. @default made-up ones */
  readonly corpus?: readonly string[];
  /** Of one attempt. @default 15000 */
  readonly timeoutMs?: number;
  /** Longest wait for the fence, and for an answer to a repeated POST. @default 30000 */
  readonly patienceMs?: number;
  /** @default a mix with a third of reads */
  readonly weights?: TrafficWeights;
}

const MIX: TrafficWeights = {
  "prompt-create": 20,
  "prompt-update": 20,
  "prompt-delete": 8,
  "prompt-read": 20,
  "prompt-list": 4,
  "message-create": 14,
  "message-read": 8,
  search: 6,
};

/** Clients that use the platform while it moves, and write down what they were told. */
export class Traffic {
  /** Name of this run in the log, e.g. `2x9f03ab41`. */
  readonly run: string;
  readonly #args: TrafficArgs;
  readonly #log: TrafficLog;
  readonly #workers: number;
  readonly #belongings = new Map<string, Belongings>();
  readonly #clients = new Map<string, ServiceClient>();
  readonly #stopping = new AbortController();
  #working: Promise<unknown> = Promise.resolve();
  #seq = 0;

  /** Reads what earlier runs left; touches nothing yet. @throws RangeError rate or workers out of range */
  constructor(args: TrafficArgs) {
    this.#args = args;
    this.#workers = args.workers ?? 4;
    if (!(args.ratePerS > 0)) throw new RangeError(`rate is ${args.ratePerS} operations per second: must be above 0`);
    if (!Number.isInteger(this.#workers) || this.#workers < 1 || this.#workers > 64) {
      throw new RangeError(`workers is ${this.#workers}: allowed are 1 to 64`);
    }
    const earlier = readTrafficLog(args.logFile);
    // Random, unlike everything else: a run with the seed of an earlier one must not reuse its idempotency keys.
    this.run = `${earlier.runs.length + 1}x${randomBytes(4).toString("hex")}`;
    for (const [index, { tenant, id, isRepeated }] of inheritable(replay(earlier).records).entries()) {
      this.#owned(index % this.#workers, tenant).add({ id: id as string, isDeletable: !isRepeated });
    }
    this.#log = new TrafficLog(args.logFile);
  }

  /** Operations begun by this run. */
  get operations(): number {
    return this.#seq;
  }

  start(): void {
    const { seed, ratePerS } = this.#args;
    this.#log.open(this.run, { seed, ratePerS, workers: this.#workers });
    this.#working = Promise.all(Array.from({ length: this.#workers }, (_, worker) => this.#work(worker)));
  }

  /** Resolves once every worker has stopped. @throws what ended a worker, if that was no answer of the platform */
  async stopped(): Promise<void> {
    await this.#working;
  }

  /** Lets every worker finish the operation at hand, closes the log and counts it. */
  async stop(): Promise<TrafficSummary> {
    this.#stopping.abort();
    await this.#working;
    const counted = summary(this.#args.logFile);
    this.#log.close(this.run, counted);
    return counted;
  }

  async #work(index: number): Promise<void> {
    const { seed, corpus = [], weights = MIX, patienceMs, ratePerS } = this.#args;
    const worker = new TrafficWorker({
      run: this.run,
      worker: index,
      random: new SeededRandom(seed + 7_919 * index),
      corpus,
      weights,
      log: this.#log,
      patienceMs,
      nextSeq: () => ++this.#seq,
      client: (tenant) => this.#client(tenant),
      belongings: (tenant) => this.#owned(index, tenant),
    });
    const { signal } = this.#stopping;
    const intervalMs = (1_000 * this.#workers) / ratePerS;
    let nextMs = performance.now() + (intervalMs * index) / this.#workers;
    while (!signal.aborted) {
      const nowMs = performance.now();
      await sleep(Math.max(0, nextMs - nowMs), undefined, { signal }).catch(() => undefined);
      // Time lost behind a fence is not made up for: that would be a burst at the worst moment.
      nextMs = Math.max(nextMs, nowMs) + intervalMs;
      const tenants = this.#args.tenants();
      if (!signal.aborted && tenants.length > 0) await worker.step(tenants);
    }
  }

  #owned(worker: number, tenant: string): Belongings {
    const name = `${worker} ${tenant}`;
    const owned = this.#belongings.get(name) ?? new Belongings();
    this.#belongings.set(name, owned);
    return owned;
  }

  #client(tenant: string): ServiceClient {
    const client = this.#clients.get(tenant) ?? new ServiceClient(this.#args.gateway, tenant, this.#args.timeoutMs);
    this.#clients.set(tenant, client);
    return client;
  }
}
