import { createTenant, r1, r2, sealBody } from "../tests/migrations/mirror/tenant-fixture.ts";
import { seedBodies } from "./bodies.ts";
import { type Bench, median, type Needs, rounded } from "./ratio.ts";
import { runTenant } from "./tenant-run.ts";

export const needs: Needs = "servers";

/** Bodies are replaced by the service of R2 one by one; here by the hundred. */
const writesAtOnce = 500;

/**
 * Going back inside the window after users of R2 have changed 1 % of the rows: what the drain takes (`prepare` of R1:
 * bring over, compare again) and what comes on top (`cutover`), against the forward run. Rounds after the first go
 * forward again from `mirroring`, which is a drain as well: there is one forward time and one drain and flip a round.
 * `--rows`: rows of 1 KB. @default 2000000
 */
export const bench: Bench = async ({ rounds, rows = 2_000_000 }) => {
  const tenant = await createTenant();
  const changed = Math.ceil(rows / 100);
  try {
    await seedBodies(tenant, rows, 1024);
    const hour = (): number => Date.now() + 3_600_000;
    const prepared = await runTenant("prepare", tenant.job(r2, { deadlineMs: hour() }));
    const flipped = await runTenant("cutover", tenant.job(r2));
    const forwardSeconds = prepared.seconds + flipped.seconds;
    const drains: number[] = [];
    const flips: number[] = [];
    for (let round = 0; round < rounds; round++) {
      if (round > 0) {
        await runTenant("prepare", tenant.job(r2, { deadlineMs: hour() }));
        await runTenant("cutover", tenant.job(r2));
      }
      await changeBodies(tenant, changed, round);
      await tenant.admin.query("CHECKPOINT");
      drains.push((await runTenant("prepare", tenant.job(r1, { deadlineMs: hour() }))).seconds);
      flips.push((await runTenant("cutover", tenant.job(r1))).seconds);
    }
    const totals = drains.map((drain, round) => drain + (flips[round] ?? 0));
    const details = {
      rows,
      changedRows: changed,
      rounds,
      forwardSeconds: rounded(forwardSeconds),
      drainSeconds: rounded(median(drains)),
      drainedRowsPerSecond: Math.round(changed / median(drains)),
      flipSeconds: rounded(median(flips)),
    };
    return [
      {
        name: "rollback",
        ratio: rounded(median(flips) / forwardSeconds),
        goal: 0.01,
        better: "lower",
        ...details,
        allDrainSeconds: drains.map(rounded),
        allFlipSeconds: flips.map(rounded),
      },
      { name: "rollback.seconds", ratio: rounded(median(totals)), goal: 10, better: "lower", ...details },
    ];
  } finally {
    await tenant.close();
  }
};

/** Replaces the bodies of every hundredth row, spread over the whole key space, as R2 does. */
async function changeBodies(
  tenant: Awaited<ReturnType<typeof createTenant>>,
  count: number,
  round: number,
): Promise<void> {
  const found = await tenant.admin.query<{ id: string }>(
    "SELECT prompt_id AS id FROM public.prompt_bodies_sealed ORDER BY md5(prompt_id::text || $1) LIMIT $2",
    [String(round), count],
  );
  const session = await tenant.as("platform_r2");
  for (let done = 0; done < found.rows.length; done += writesAtOnce) {
    const ids = found.rows.slice(done, done + writesAtOnce).map(({ id }) => id);
    const bodies = await Promise.all(
      ids.map((id) => sealBody(tenant, id, `round ${round} of ${id} `.padEnd(1024, "x"))),
    );
    await session.query(
      `UPDATE prompt_bodies_sealed AS t SET body = u.body FROM unnest($1::uuid[], $2::bytea[]) AS u(id, body) WHERE t.prompt_id = u.id`,
      [ids, bodies],
    );
  }
}
