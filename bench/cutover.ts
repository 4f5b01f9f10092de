import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { runTenants } from "../migrations/mirror/pool.ts";
import { openWave, type WaveFixture } from "../tests/migrations/nodes/wave-fixture.ts";
import { r1, r2 } from "../tests/migrations/onboarding-fixture.ts";
import { tenantDatabase } from "../migrations/registry/tenant-id.ts";
import { prepareNode } from "../migrations/nodes/prepare-node.ts";
import { type Reply, ServiceClient } from "../tests/workload/service-client.ts";
import { type Bench, median, type Needs, quantile, rounded } from "./ratio.ts";
import { Programs } from "./release-services.ts";
import { bodyText, idOf } from "./requests.ts";

export const needs: Needs = "servers";

const users = 4;
const tenant = "flips";

/** A user gives up on a request after this long, milliseconds. */
const patienceMs = 30_000;

/**
 * A tenant flips between R1 and R2 and back while four users read and write through the services of both: for how long
 * writers wait in a flip, and how many requests fail. A request that meets the fence is sent again to the release that the
 * answer names, as the contract says. `--rows`: flips of a round. @default 20
 */
export const bench: Bench = async ({ rounds, rows = 20 }) => {
  const wave = await openWave();
  const programs = new Programs();
  try {
    await wave.seed([tenant], 500);
    const served = { r1: (await programs.serve("r1")).urls, r2: (await programs.serve("r2")).urls };
    const prepared = await prepareNode.run(wave.inputs(r2));
    if (prepared.status !== "done") throw new Error(prepared.summary);
    const traffic = new Traffic({ r1: new ServiceClient(served.r1, tenant), r2: new ServiceClient(served.r2, tenant) });
    traffic.start();
    const locksMs: number[] = [];
    try {
      for (let nth = 0; nth < rounds * rows; nth++) locksMs.push(await flip(wave, nth % 2 === 0 ? r2 : r1));
    } finally {
      await traffic.stop();
    }
    const counts = { flips: locksMs.length, users, requests: traffic.requests, sentAgain: traffic.sentAgain };
    return [
      {
        name: "cutover.lock-p99-ms",
        ratio: rounded(quantile(locksMs, 0.99)),
        goal: 500,
        better: "lower",
        ...counts,
        medianLockMs: rounded(median(locksMs)),
        longestLockMs: rounded(Math.max(...locksMs)),
        longestRequestMs: rounded(traffic.longestMs),
      },
      {
        name: "cutover.failed",
        ratio: traffic.failures.length,
        goal: 0,
        better: "lower",
        ...counts,
        ...traffic.example,
      },
    ];
  } finally {
    await programs.stop();
    await wave.close();
  }
};

/** The two wishes that a flip consists of. @returns for how long writers waited, milliseconds */
async function flip(wave: WaveFixture, release: typeof r1 | typeof r2): Promise<number> {
  const job = {
    environment: "onb",
    tenant,
    database: tenantDatabase(tenant),
    region: wave.onboarding.region,
    release,
    back: release === r1 ? r2 : r1,
    releaseRoles: [r1.role, r2.role],
    deadlineMs: Date.now() + 120_000,
  };
  await runTenants("prepare", [job], { concurrency: 1 });
  const [result] = await runTenants("cutover", [job], { concurrency: 1 });
  if (result?.lockMs === undefined)
    throw new Error(`the flip to ${release.id} ended ${result?.status}: ${result?.reason}`);
  return result.lockMs;
}

/** Users of the tenant that read and write until they are told to stop. */
class Traffic {
  requests = 0;
  sentAgain = 0;
  longestMs = 0;
  readonly failures: string[] = [];
  readonly #clients: Readonly<Record<string, ServiceClient>>;
  #release = "r1";
  #isOver = false;
  #users: Promise<void>[] = [];

  constructor(clients: Readonly<Record<string, ServiceClient>>) {
    this.#clients = clients;
  }

  /** The first failure, for the line. */
  get example(): Readonly<Record<string, string>> {
    return this.failures[0] === undefined ? {} : { firstFailure: this.failures[0] };
  }

  start(): void {
    this.#users = Array.from({ length: users }, () => this.#use());
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#users);
  }

  async #use(): Promise<void> {
    const own: string[] = [];
    for (let nth = 0; !this.#isOver; nth++) {
      const id = own[(nth * 7) % Math.max(1, own.length)];
      const key = randomUUID();
      const body = { title: "flip", body: bodyText(nth) };
      if (id === undefined || own.length < 50) {
        const made = await this.#send((client) => client.createPrompt(key, body));
        if (made !== undefined) own.push(idOf(made));
      } else if (nth % 2 === 0) await this.#send((client) => client.putPrompt(id, body));
      else await this.#send((client) => client.getPrompt(id));
      await sleep(2);
    }
  }

  async #send(request: (client: ServiceClient) => Promise<Reply>): Promise<Reply | undefined> {
    this.requests++;
    const startMs = performance.now();
    try {
      for (;;) {
        const reply = await request(this.#clients[this.#release] as ServiceClient);
        if (reply.status < 300) return reply;
        const other = reply.headers.get("x-release")?.split("@")[0];
        if (reply.status !== 503 || other === undefined || performance.now() - startMs > patienceMs) {
          this.failures.push(`${reply.request} answered ${reply.status}`);
          return undefined;
        }
        this.sentAgain++;
        this.#release = other;
        await sleep(20);
      }
    } catch (error) {
      this.failures.push((error as Error).message);
      return undefined;
    } finally {
      this.longestMs = Math.max(this.longestMs, performance.now() - startMs);
    }
  }
}
