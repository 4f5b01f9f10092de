import { randomUUID } from "node:crypto";
import { prepareNode } from "../migrations/nodes/prepare-node.ts";
import { finalizeNode } from "../migrations/nodes/finalize-node.ts";
import { openWave, type WaveFixture } from "../tests/migrations/nodes/wave-fixture.ts";
import { r1, r2 } from "../tests/migrations/onboarding-fixture.ts";
import { ServiceClient } from "../tests/workload/service-client.ts";
import { type Bench, interleave, median, type Needs, quantile, type Ratio, rounded } from "./ratio.ts";
import { Programs, type ServedRelease } from "./release-services.ts";
import { bodyText, idOf, sendRequests } from "./requests.ts";

export const needs: Needs = "servers";

const users = 4;
const prompts = 500;
const names = { plain: "plain", captured: "captured", loaded: "loaded" } as const;

/**
 * What a migration costs those who use R1: writes of a tenant whose changes are captured against one without a migration,
 * and p99 of a tenant's requests while its rows are being copied against the time before. Through R1's own service.
 * `--rows`: requests of a side and round; the tenant that is copied has 50 times as many rows. @default 1000
 */
export const bench: Bench = async ({ rounds, rows = 1000 }) => {
  const wave = await openWave();
  const programs = new Programs();
  try {
    await wave.seed(Object.values(names), 1);
    const served = await programs.serve("r1");
    return [await captureCost(wave, served, rounds, rows), await backfillCost(wave, served, rounds, rows)];
  } finally {
    await programs.stop();
    await wave.close();
  }
};

async function captureCost(wave: WaveFixture, served: ServedRelease, rounds: number, rows: number): Promise<Ratio> {
  const clients = {
    plain: new ServiceClient(served.urls, names.plain),
    captured: new ServiceClient(served.urls, names.captured),
  };
  const ids = { plain: await makePrompts(clients.plain), captured: await makePrompts(clients.captured) };
  const prepared = await prepareNode.run(inputsOf(wave, names.captured));
  if (prepared.status !== "done") throw new Error(prepared.summary);
  const rates: Record<keyof typeof clients, number[]> = { plain: [], captured: [] };
  const measure = async (side: keyof typeof clients, round: number): Promise<void> => {
    const { seconds } = await sendRequests(
      users,
      (begun) => begun < rows,
      (nth) => clients[side].putPrompt(ids[side][nth % prompts] as string, { title: "w", body: bodyText(nth + round) }),
    );
    rates[side].push(rows / seconds);
  };
  await measure("plain", 0);
  await measure("captured", 0);
  rates.plain.length = rates.captured.length = 0; // the first of each warms up
  // Short turns: whatever else happens on the machine meets both sides alike.
  await interleave(
    rounds * 3,
    (round) => measure("captured", round),
    (round) => measure("plain", round),
  );
  return {
    name: "capture.writes",
    ratio: rounded(median(rates.captured) / median(rates.plain)),
    goal: 0.95,
    better: "higher",
    rounds: rounds * 3,
    requestsPerRound: rows,
    users,
    writesPerSecond: rounded(median(rates.captured)),
    plainWritesPerSecond: rounded(median(rates.plain)),
    allWritesPerSecond: rates.captured.map(Math.round),
    allPlainWritesPerSecond: rates.plain.map(Math.round),
  };
}

async function backfillCost(wave: WaveFixture, served: ServedRelease, rounds: number, rows: number): Promise<Ratio> {
  const client = new ServiceClient(served.urls, names.loaded);
  const ids = await makePrompts(client);
  const bulk = rows * 50;
  await wave.onboarding.query(names.loaded, [
    `WITH added AS (INSERT INTO prompts (title) SELECT 'bulk' FROM generate_series(1, ${bulk}) RETURNING id)
     INSERT INTO prompt_bodies SELECT id, repeat(md5(id::text), 32) FROM added`,
    "VACUUM ANALYZE",
  ]);
  const request = (nth: number): ReturnType<typeof client.getPrompt> =>
    nth % 2 === 0
      ? client.getPrompt(ids[(nth * 7) % prompts] as string)
      : client.putPrompt(ids[(nth * 11) % prompts] as string, { title: "w", body: bodyText(nth) });
  const idle: number[] = [];
  const loaded: number[] = [];
  const backfillSeconds: number[] = [];
  await interleave(
    rounds,
    async () => {
      const startMs = performance.now();
      let isDone = false;
      const backfill = prepareNode.run(inputsOf(wave, names.loaded)).finally(() => (isDone = true));
      const { latenciesMs } = await sendRequests(users, () => !isDone, request);
      const { status, summary } = await backfill;
      if (status !== "done") throw new Error(summary);
      backfillSeconds.push((performance.now() - startMs) / 1000);
      loaded.push(quantile(latenciesMs, 0.99));
      await finalizeNode.run({
        ...inputsOf(wave, names.loaded),
        kind: "finalize",
        release: r1,
        back: r2,
        mirrors: ["prompt-encryption"],
      });
    },
    async () => {
      const { latenciesMs } = await sendRequests(users, (begun) => begun < rows, request);
      idle.push(quantile(latenciesMs, 0.99));
    },
  );
  return {
    name: "capture.backfill-p99",
    ratio: rounded(median(loaded) / median(idle)),
    goal: 1.5,
    better: "lower",
    rounds,
    users,
    copiedRows: bulk,
    backfillSeconds: rounded(median(backfillSeconds)),
    p99Ms: rounded(median(loaded)),
    idleP99Ms: rounded(median(idle)),
    allP99Ms: loaded.map(rounded),
    allIdleP99Ms: idle.map(rounded),
  };
}

function inputsOf(wave: WaveFixture, tenant: string) {
  return wave.inputs(r2, { waves: [{ name: "general", selector: { ids: [tenant] } }] });
}

async function makePrompts(client: ServiceClient): Promise<string[]> {
  const ids: string[] = [];
  await sendRequests(
    users,
    (begun) => begun < prompts,
    async (nth) => {
      const reply = await client.createPrompt(randomUUID(), { title: `prompt ${nth}`, body: bodyText(nth) });
      ids.push(idOf(reply));
      return reply;
    },
  );
  return ids;
}
