import { createTenant, r1, r2, type TestTenant } from "../tests/migrations/mirror/tenant-fixture.ts";
import { mirror } from "../tests/migrations/mirror/nodes.ts";
import { seedBodies } from "./bodies.ts";
import { interleave, median, type Bench, type Needs, type Ratio, rounded, timed } from "./ratio.ts";
import { rawRates } from "./raw-rates.ts";
import { runTenant, timeBuild } from "./tenant-run.ts";
import { prepareTransitRivals, transitBatches, transitRows } from "./transit-rivals.ts";

export const needs: Needs = "servers";

/** Bodies of the mixes besides 1 KB, with their share of the rows: each mix holds about as many bytes. */
const mixes = [
  { bodyBytes: 200, share: 1 },
  { bodyBytes: 4096, share: 0.25 },
  { bodyBytes: 65_536, share: 1 / 64 },
] as const;

/**
 * `off` to sealed - sessions, keys, capture, reading, sealing, writing, ledger, foreign key, statistics - against a
 * server-side UPDATE that writes as many bytes into a table with the same indexes; and against sealing row by row, or in
 * pipelined batches, through Vault's transit engine. Comparing every row afterwards is measured beside it.
 * `--rows`: rows of 1 KB. @default 200000
 */
export const bench: Bench = async ({ rounds, rows = 200_000 }) => {
  const lines: Ratio[] = [await sizeRatio("seal", rows, 1024, rounds)];
  lines.push(...(await transitRatios(Number(lines[0]?.["rowsPerSecond"]), rows)));
  for (const { bodyBytes, share } of mixes)
    lines.push(await sizeRatio(`seal.${bodyBytes}`, Math.ceil(rows * share), bodyBytes, rounds));
  return lines;
};

async function sizeRatio(name: string, rows: number, bodyBytes: number, rounds: number): Promise<Ratio> {
  const tenant = await createTenant();
  try {
    await seedBodies(tenant, rows, bodyBytes);
    const copies: number[] = [];
    const verifications: number[] = [];
    const updates: number[] = [];
    await interleave(
      rounds,
      async () => {
        await settle(tenant);
        const { copySeconds, verifySeconds } = await timeBuild(tenant, tenant.job(r2));
        copies.push(copySeconds);
        verifications.push(verifySeconds);
        await runTenant("finalize", tenant.job(r1, { mirrors: [mirror] }));
      },
      async () => {
        await makeRival(tenant);
        await settle(tenant);
        updates.push(await timed(() => tenant.admin.query("UPDATE public.rival SET body = body || $1", [overhead])));
        await tenant.admin.query("DROP TABLE public.rival");
      },
    );
    return {
      name,
      ratio: rounded(median(updates) / median(copies)),
      goal: 1.3,
      better: "higher",
      rows,
      bodyBytes,
      rounds,
      rowsPerSecond: Math.round(rows / median(copies)),
      updateRowsPerSecond: Math.round(rows / median(updates)),
      verifyRowsPerSecond: Math.round(rows / median(verifications)),
      ratioWithVerification: rounded(median(updates) / (median(copies) + median(verifications))),
      allCopySeconds: copies.map(rounded),
      allUpdateSeconds: updates.map(rounded),
      ...(await rawRates(tenant, rows, bodyBytes)),
    };
  } finally {
    await tenant.close();
  }
}

async function transitRatios(rowsPerSecond: number, rows: number): Promise<Ratio[]> {
  const tenant = await createTenant();
  try {
    await seedBodies(tenant, Math.min(rows, 20_000), 1024);
    await prepareTransitRivals(tenant);
    const single = await transitRows(tenant, Math.min(rows, 300));
    const batched = await transitBatches(tenant, Math.min(rows, 20_000));
    return [
      {
        name: "seal.transit-rows",
        ratio: rounded(rowsPerSecond / single),
        goal: 200,
        better: "higher",
        rowsPerSecond,
        rivalRowsPerSecond: rounded(single),
        rivalSampleRows: Math.min(rows, 300),
      },
      {
        name: "seal.transit-batches",
        ratio: rounded(rowsPerSecond / batched),
        goal: 10,
        better: "higher",
        rowsPerSecond,
        rivalRowsPerSecond: rounded(batched),
        rivalSampleRows: Math.min(rows, 20_000),
      },
    ];
  } finally {
    await tenant.close();
  }
}

/** As many bytes as sealing adds to a row. */
const overhead = "=".repeat(33);

/** A table like R1's, fresh each time: an UPDATE leaves as many dead rows as it writes. Never compressed, as the sink is not. */
async function makeRival(tenant: TestTenant): Promise<void> {
  await tenant.admin.query(`
    CREATE TABLE public.rival (prompt_id uuid, body text NOT NULL);
    ALTER TABLE public.rival ALTER body SET STORAGE EXTERNAL;
    INSERT INTO public.rival SELECT * FROM public.prompt_bodies;
    ALTER TABLE public.rival ADD PRIMARY KEY (prompt_id);
    ALTER TABLE public.rival ADD FOREIGN KEY (prompt_id) REFERENCES public.prompts ON DELETE CASCADE`);
  await tenant.admin.query("VACUUM ANALYZE public.rival");
}

/** Both sides begin with the same: nothing to write back, full-page images due. */
async function settle(tenant: TestTenant): Promise<void> {
  await tenant.admin.query("CHECKPOINT");
}
