import { type RowCheck, checkRows } from "../migrations/row-check.ts";
import type { Environment } from "../releases/environment.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { Refusal } from "./outcome.ts";
import { regionTargets } from "./region-targets.ts";

/** Tenants compared at the same time: each reads all its rows and opens the sealed ones. */
const concurrency = 2;

/**
 * Compares the rows of every tenant of the waves, or of one; reads only.
 *
 * @throws {Refusal} the tenant is in no wave
 */
export async function verifyRows(
  environment: Environment,
  facts: EnvironmentFacts,
  only: string | undefined,
): Promise<RowCheck[]> {
  const regions = new Map(regionTargets(environment).map((region) => [region.name, region]));
  const all = [...[...facts.waves.values()].flat(), ...facts.suspended];
  const chosen = only === undefined ? all : all.filter(({ id }) => id === only);
  if (only !== undefined && chosen.length === 0)
    throw new Refusal("no-go", [
      `tenant ${only} is in no wave of ${environment.name}; coordinator status lists those that are`,
    ]);
  const checks: RowCheck[] = [];
  for (let start = 0; start < chosen.length; start += concurrency) {
    const batch = chosen.slice(start, start + concurrency).map(async (tenant): Promise<RowCheck> => {
      const region = regions.get(tenant.region);
      if (region === undefined)
        throw new Error(`tenant ${tenant.id} is in region ${tenant.region}, which the stack file does not name`);
      return checkRows(environment.name, tenant, region);
    });
    checks.push(...(await Promise.all(batch)));
  }
  return checks;
}

/** One line a tenant and one a fault, never a payload. */
export function explainRows({ tenant, compared, ranges, rootedRanges, uncompared, faults }: RowCheck): string {
  const verdict = faults.length === 0 ? "all equal" : `${faults.length} ${faults.length === 1 ? "fault" : "faults"}`;
  const head = `${tenant}: ${compared} rows compared on both sides, ${verdict}; ${rootedRanges} of ${ranges} ranges held to their signed root`;
  const shown = faults.slice(0, 20).map(({ table, key, reason }) => `    - ${table}, ${key}: ${reason}`);
  return [
    head,
    ...uncompared.map((why) => `    not compared: ${why}`),
    ...shown,
    ...(faults.length > 20 ? [`    - and ${faults.length - 20} more`] : []),
  ].join("\n");
}
