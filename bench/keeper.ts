import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { prepareNode } from "../migrations/nodes/prepare-node.ts";
import { tenantDatabase } from "../migrations/registry/tenant-id.ts";
import { openWave } from "../tests/migrations/nodes/wave-fixture.ts";
import { r2 } from "../tests/migrations/onboarding-fixture.ts";
import { databaseUrl, roleUrl } from "../tests/servers.ts";
import { type Bench, type Needs, quantile, rounded } from "./ratio.ts";
import { environment, keeperUrl, Programs, vaultVariables } from "./release-services.ts";

export const needs: Needs = "servers";

const writesPerSecond = 500;
const prompts = 200;

/** How often the captured changes are looked at, milliseconds: as exact as a lag can be told. */
const lookEveryMs = 200;

/** Seconds of one round. */
const roundSeconds = 20;

/** Linux counts a process's time in hundredths of a second. */
const ticksPerSecond = 100;

/**
 * The keeper's own process beside writers of R1: for how long a captured change waits until it is on the other side, and
 * how much of one processor the process takes. `--rows`: tenants. @default 20
 */
export const bench: Bench = async ({ rounds, rows = 20 }) => {
  const wave = await openWave();
  const programs = new Programs();
  const sessions: pg.Client[] = [];
  try {
    const tenants = Array.from({ length: rows }, (_, nth) => `kept-${nth}`);
    await wave.seed(tenants, prompts);
    const prepared = await prepareNode.run(wave.inputs(r2));
    if (prepared.status !== "done") throw new Error(prepared.summary);
    const open = async (url: string): Promise<pg.Client> => {
      const client = new pg.Client({ connectionString: url });
      client.on("error", () => undefined);
      await client.connect();
      sessions.push(client);
      return client;
    };
    const databases = tenants.map((id) => databaseUrl(tenantDatabase(id)));
    const writers = await Promise.all(databases.map((url) => open(roleUrl("platform_r1", url))));
    const watchers = await Promise.all(databases.map((url) => open(url)));
    const { pid } = await programs.start("coordinator/keeper-entry.ts", {
      ENVIRONMENT: environment,
      REGION: "local",
      POSTGRES_URL: keeperUrl(),
      ...(await vaultVariables()),
    });
    const lags = new Lags(watchers);
    const traffic = new Writes(writers);
    await traffic.during(3_000); // everything has been opened once
    const seconds = rounds * roundSeconds;
    const [cpuBefore, startMs] = [processorSeconds(pid), performance.now()];
    const watching = lags.during(seconds * 1000);
    await traffic.during(seconds * 1000);
    await watching;
    const wallSeconds = (performance.now() - startMs) / 1000;
    const share = (processorSeconds(pid) - cpuBefore) / wallSeconds;
    const details = {
      tenants: rows,
      seconds: rounded(wallSeconds),
      writesPerSecond: rounded(traffic.writes / (wallSeconds + 3)),
      goalWritesPerSecond: writesPerSecond,
    };
    return [
      {
        name: "keeper.lag-p99-seconds",
        ratio: rounded(quantile(lags.seconds, 0.99)),
        goal: 5,
        better: "lower",
        ...details,
        medianLagSeconds: rounded(quantile(lags.seconds, 0.5)),
        longestLagSeconds: rounded(Math.max(...lags.seconds)),
        lagsSeen: lags.seconds.length,
      },
      { name: "keeper.cpu-share", ratio: rounded(share), goal: 0.1, better: "lower", ...details },
    ];
  } finally {
    await programs.stop();
    await Promise.all(sessions.map((client) => client.end().catch(() => undefined)));
    await wave.close();
  }
};

/** Writers of R1, one session a tenant, that together write so many bodies a second. */
class Writes {
  writes = 0;
  readonly #writers: readonly pg.Client[];

  constructor(writers: readonly pg.Client[]) {
    this.#writers = writers;
  }

  async during(durationMs: number): Promise<void> {
    const startMs = performance.now();
    const begun = this.writes;
    const one = async (client: pg.Client, nth: number): Promise<void> => {
      const ids = (await client.query<{ id: string }>("SELECT prompt_id AS id FROM prompt_bodies")).rows;
      const dueMs = (1000 * this.#writers.length) / writesPerSecond;
      for (let count = 0; ; count++) {
        const waitMs = startMs + count * dueMs + (nth * dueMs) / this.#writers.length - performance.now();
        if (waitMs > 0) await sleep(waitMs);
        if (performance.now() - startMs >= durationMs) return;
        const { id } = ids[(count * 7) % ids.length] as { id: string };
        await client.query("UPDATE prompt_bodies SET body = $2 WHERE prompt_id = $1", [
          id,
          `write ${begun + count}`.padEnd(1024, "x"),
        ]);
        this.writes++;
      }
    };
    await Promise.all(this.#writers.map(one));
  }
}

/** For how long captured changes wait, seen from outside: a sequence number is there, and some look later it is not. */
class Lags {
  readonly seconds: number[] = [];
  readonly #watchers: readonly pg.Client[];

  constructor(watchers: readonly pg.Client[]) {
    this.#watchers = watchers;
  }

  async during(durationMs: number): Promise<void> {
    const startMs = performance.now();
    await Promise.all(
      this.#watchers.map(async (client) => {
        const waiting = new Map<bigint, number>();
        while (performance.now() - startMs < durationMs) {
          const found = await client.query<{ least: string | null; most: string | null }>(
            "SELECT min(seq) AS least, max(seq) AS most FROM rc.dirty_prompt_bodies",
          );
          const nowMs = performance.now();
          const { least = null, most = null } = found.rows[0] ?? {};
          for (const [seq, sinceMs] of waiting) {
            if (least !== null && BigInt(least) <= seq) continue;
            this.seconds.push((nowMs - sinceMs) / 1000);
            waiting.delete(seq);
          }
          if (most !== null && !waiting.has(BigInt(most))) waiting.set(BigInt(most), nowMs);
          await sleep(lookEveryMs);
        }
        // What still waits at the end has waited at least as long as this.
        for (const sinceMs of waiting.values()) this.seconds.push((performance.now() - sinceMs) / 1000);
      }),
    );
  }
}

function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
