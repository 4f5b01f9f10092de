import type { TenantOverview } from "../migrations/registry/projection.ts";
import { readTenantState } from "../migrations/tenant-state.ts";
import type { Environment } from "../releases/environment.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { regionTargets } from "./region-targets.ts";

/** Tenants asked at the same time: 1,000 databases take about 4 s. */
const concurrency = 8;

/**
 * The same facts with every tenant's own ledger in place of the registry's copy. Rates stay those of the projection: a ledger
 * knows none. Reads only.
 * @throws when a tenant's database cannot be reached, naming the tenant
 */
export async function readLedgers(environment: Environment, facts: EnvironmentFacts): Promise<EnvironmentFacts> {
  const regions = new Map(regionTargets(environment).map((region) => [region.name, region]));
  const exact = async (tenant: TenantOverview): Promise<TenantOverview> => {
    const region = regions.get(tenant.region);
    if (region === undefined)
      throw new Error(`tenant ${tenant.id} is in region ${tenant.region}, which the stack file does not name`);
    const states = await readTenantState(tenant, region).catch((error: Error) => {
      throw new Error(`ledger of tenant ${tenant.id}: ${error.message}`, { cause: error });
    });
    const rates = new Map(tenant.states.map(({ mirror, rateRowsPerS }) => [mirror, rateRowsPerS]));
    return { ...tenant, states: states.map((state) => ({ ...state, rateRowsPerS: rates.get(state.mirror) })) };
  };
  const waves = new Map<string, readonly TenantOverview[]>();
  for (const [wave, tenants] of facts.waves) {
    const read: TenantOverview[] = [];
    for (let start = 0; start < tenants.length; start += concurrency) {
      read.push(...(await Promise.all(tenants.slice(start, start + concurrency).map(exact))));
    }
    waves.set(wave, read);
  }
  return { ...facts, waves, asOf: new Date() };
}
