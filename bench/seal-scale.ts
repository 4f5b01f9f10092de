import { mirror } from "../tests/migrations/mirror/nodes.ts";
import { createTenant, r1, r2, type TestTenant } from "../tests/migrations/mirror/tenant-fixture.ts";
import { seedBodies } from "./bodies.ts";
import { type Bench, interleave, median, type Needs, type Ratio, rounded } from "./ratio.ts";
import { runTenant, timeBuild } from "./tenant-run.ts";

export const needs: Needs = "servers";

const mostRssMib = 200;

/**
 * Twenty times the rows: the rate from `off` to sealed and compared, and the memory of the worker process, against those
 * of the smaller tenant. `--rows`: rows of 1 KB of the larger one. @default 2000000
 */
export const bench: Bench = async ({ rounds, rows = 2_000_000 }) => {
  const few = Math.max(1, Math.round(rows / 20));
  const [large, small] = [await createTenant(), await createTenant()];
  try {
    await seedBodies(large, rows, 1024);
    await seedBodies(small, few, 1024);
    const sides = {
      large: { rates: [] as number[], peaks: [] as number[] },
      small: { rates: [] as number[], peaks: [] as number[] },
    };
    const measure = async (tenant: TestTenant, count: number, side: { rates: number[]; peaks: number[] }) => {
      await tenant.admin.query("CHECKPOINT");
      const { copySeconds, verifySeconds, peakRssMib } = await timeBuild(
        tenant,
        tenant.job(r2, { deadlineMs: Date.now() + 3_600_000 }),
      );
      side.rates.push(count / (copySeconds + verifySeconds));
      side.peaks.push(peakRssMib);
      await runTenant("finalize", tenant.job(r1, { mirrors: [mirror] }));
    };
    await interleave(
      rounds,
      () => measure(large, rows, sides.large),
      () => measure(small, few, sides.small),
    );
    const peakMib = Math.max(...sides.large.peaks);
    const lines: Ratio[] = [
      {
        name: "seal-scale.rate",
        ratio: rounded(median(sides.large.rates) / median(sides.small.rates)),
        goal: 0.9,
        better: "higher",
        rows,
        fewRows: few,
        rounds,
        allRowsPerSecond: sides.large.rates.map(Math.round),
        allFewRowsPerSecond: sides.small.rates.map(Math.round),
      },
      {
        name: "seal-scale.memory",
        ratio: rounded(median(sides.large.peaks) / median(sides.small.peaks)),
        goal: 1.1,
        better: "lower",
        allPeakMib: sides.large.peaks.map(rounded),
        allFewPeakMib: sides.small.peaks.map(rounded),
      },
      { name: "seal-scale.peak-mib", ratio: rounded(peakMib), goal: mostRssMib, better: "lower", rows },
    ];
    return lines;
  } finally {
    await large.close();
    await small.close();
  }
};
