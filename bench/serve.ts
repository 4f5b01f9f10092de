import { randomUUID } from "node:crypto";
import { openWave } from "../tests/migrations/nodes/wave-fixture.ts";
import { r2 } from "../tests/migrations/onboarding-fixture.ts";
import { cutoverNode } from "../migrations/nodes/cutover-node.ts";
import { prepareNode } from "../migrations/nodes/prepare-node.ts";
import { ServiceClient, type Reply } from "../tests/workload/service-client.ts";
import { type Bench, interleave, median, type Needs, quantile, type Ratio, rounded } from "./ratio.ts";
import { Programs } from "./release-services.ts";
import { bodyText, idOf, sendRequests } from "./requests.ts";

export const needs: Needs = "servers";

const users = 4;

/** Requests of one kind, one side and one round. */
const requestsPerRound = 1000;

/**
 * R2's services against R1's, each with a tenant of its own that holds the same prompts: p99 of read, write and search.
 * Two services of each release run as plain processes, four users at a time. `--rows`: prompts of a tenant. @default 2000
 */
export const bench: Bench = async ({ rounds, rows = 2000 }) => {
  const wave = await openWave();
  const programs = new Programs();
  try {
    const tenants = { r1: "stays", r2: "moves" } as const;
    await wave.seed([tenants.r1, tenants.r2], 1);
    const [first, second] = [await programs.serve("r1"), await programs.serve("r2")];
    const ids: Record<string, string[]> = {};
    for (const tenant of Object.values(tenants)) {
      const client = new ServiceClient(first.urls, tenant);
      const made: string[] = [];
      await sendRequests(
        users,
        (begun) => begun < rows,
        async (nth) => {
          const reply = await client.createPrompt(randomUUID(), { title: `prompt ${nth}`, body: bodyText(nth) });
          made.push(idOf(reply));
          return reply;
        },
      );
      ids[tenant] = made;
    }
    await wave.onboarding.query(tenants.r1, ["VACUUM ANALYZE"]);
    const inputs = wave.inputs(r2, { waves: [{ name: "general", selector: { ids: [tenants.r2] } }] });
    await prepareNode.run(inputs);
    await cutoverNode.run(inputs);
    await wave.onboarding.query(tenants.r2, ["VACUUM ANALYZE"]);
    const sides = {
      r1: { client: new ServiceClient(first.urls, tenants.r1), ids: ids[tenants.r1] ?? [] },
      r2: { client: new ServiceClient(second.urls, tenants.r2), ids: ids[tenants.r2] ?? [] },
    };
    const count = Math.min(requestsPerRound, rows);
    const kinds: Record<string, (client: ServiceClient, ids: readonly string[], nth: number) => Promise<Reply>> = {
      read: (client, all, nth) => client.getPrompt(all[(nth * 7) % all.length] as string),
      write: (client, all, nth) =>
        client.putPrompt(all[(nth * 11) % all.length] as string, { title: "written", body: bodyText(nth) }),
      search: (client, _, nth) => client.search(`prompt ${nth} rivers`),
    };
    const lines: Ratio[] = [];
    for (const [kind, request] of Object.entries(kinds)) {
      const p99: Record<"r1" | "r2", number[]> = { r1: [], r2: [] };
      const middle: Record<"r1" | "r2", number[]> = { r1: [], r2: [] };
      const measure = async (side: "r1" | "r2", round: number): Promise<void> => {
        const { client, ids: own } = sides[side];
        const { latenciesMs } = await sendRequests(
          users,
          (begun) => begun < count,
          (nth) => request(client, own, nth + round),
        );
        p99[side].push(quantile(latenciesMs, 0.99));
        middle[side].push(median(latenciesMs));
      };
      await measure("r1", 0);
      await measure("r2", 0);
      for (const values of [p99.r1, p99.r2, middle.r1, middle.r2]) values.length = 0; // the first of each warms up
      await interleave(
        rounds,
        (round) => measure("r2", round),
        (round) => measure("r1", round),
      );
      lines.push({
        name: `serve.${kind}`,
        ratio: rounded(median(p99.r2) / median(p99.r1)),
        goal: 1.2,
        better: "lower",
        rows,
        rounds,
        requestsPerRound: count,
        users,
        r2P99Ms: rounded(median(p99.r2)),
        r1P99Ms: rounded(median(p99.r1)),
        r2MedianMs: rounded(median(middle.r2)),
        r1MedianMs: rounded(median(middle.r1)),
        allR2P99Ms: p99.r2.map(rounded),
        allR1P99Ms: p99.r1.map(rounded),
      });
    }
    return lines;
  } finally {
    await programs.stop();
    await wave.close();
  }
};
