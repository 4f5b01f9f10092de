import { coordinator } from "../command.ts";
import { query, tenantDatabase } from "../database.ts";
import { seedTenantIds } from "../stack-file.ts";
import type { StepReport, TourContext, TourStep } from "../step.ts";
import { ensureTraffic, waitForOperations } from "../traffic.ts";

/** Traffic from here to the end; then R2: Vault, the second fleet, every prompt sealed, two waves flipped. */
export const promotion: TourStep = {
  name: "promote",
  title: "R2 under live traffic: a KEK for each tenant, every prompt sealed, authority moved in two waves",

  async run(context, report) {
    await waitForOperations(context, context.operations);
    await promoteTo(context, report, "r2");
    await waitForOperations(context, context.operations);
  },
};

/** `coordinator promote` and what must be true after it. */
export async function promoteTo(context: TourContext, report: StepReport, release: string): Promise<void> {
  await ensureTraffic(context);
  const promoted = await coordinator(context, ["promote", release, "--env", "dev"]);
  report.count("promoteSeconds", Math.round(promoted.seconds));
  await reportMoves(context, report, release);
}

/** Every seed tenant is served by `release`; the longest lock of the flips. */
export async function reportMoves(context: TourContext, report: StepReport, release: string): Promise<void> {
  const tenants = await seedTenantIds(context);
  const routes = await query<{ tenant: string; release: string }>(
    context,
    "rc_registry",
    "SELECT tenant, release FROM registry.route WHERE tenant = ANY ($1)",
    [tenants],
  );
  report.check(
    routes.length === tenants.length && routes.every((route) => route.release === release),
    `all ${tenants.length} tenants are served by ${release}`,
  );
  const locks: number[] = [];
  let rows = 0;
  for (const tenant of tenants) {
    const [last] = await query<{ lock: number | null }>(
      context,
      tenantDatabase(tenant),
      "SELECT (detail ->> 'lockMs')::float8 AS lock FROM rc.journal WHERE event = 'cutover' ORDER BY id DESC LIMIT 1",
    );
    if (last?.lock != null) locks.push(last.lock);
    const [copied] = await query<{ rows: number }>(
      context,
      tenantDatabase(tenant),
      "SELECT coalesce(sum(rows), 0)::float8 AS rows FROM rc.range",
    );
    rows += copied?.rows ?? 0;
  }
  report.check(locks.length === tenants.length, "every tenant's flip is in its ledger with the time of its lock");
  report.count("rowsInLedger", rows);
  report.count("longestLockMs", Math.max(...locks));
  report.count("medianLockMs", locks.sort((a, b) => a - b)[Math.floor(locks.length / 2)] ?? 0);
}
