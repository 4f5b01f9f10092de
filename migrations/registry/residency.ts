import type { Tenant } from "./tenants.ts";

/** Tenants with this tag may run in these regions only. */
export interface ResidencyRule {
  readonly tag: string;
  readonly regions: readonly string[];
}

/** One registry as it was read: the region that it belongs to, and all its rows. */
export interface RegistryRows<T> {
  readonly region: string;
  readonly tenants: readonly T[];
}

type Placed = Pick<Tenant, "id" | "region" | "tags">;

/** Why a tenant may not run in a region; undefined when it may. Each rule that speaks of the tenant has to allow it. */
export function findResidencyFault(
  rules: readonly ResidencyRule[],
  { id, tags }: Pick<Tenant, "id" | "tags">,
  region: string,
): string | undefined {
  const broken = rules.filter((rule) => tags.includes(rule.tag) && !rule.regions.includes(region));
  if (broken.length === 0) return undefined;
  const allowed = broken.map((rule) => `${rule.regions.join(" or ")} (residency of ${rule.tag})`).join(", and ");
  return `tenant ${id} may not run in region ${region}; allowed: ${allowed}`;
}

/**
 * Tenants whose home is wrong, by id: in a region that the stack file does not name or that they may not run in, in two
 * regions at once, or in a row that the registry of their region does not have. A registry that two regions share is none
 * of these.
 */
export function findMisplaced<T extends Placed>(
  registries: readonly RegistryRows<T>[],
  rules: readonly ResidencyRule[],
): ReadonlyMap<string, { readonly tenant: T; readonly reason: string }> {
  const regions = registries.map(({ region }) => region);
  const homes = new Map<string, string[]>();
  for (const { region, tenants } of registries)
    for (const { id } of tenants.filter((tenant) => tenant.region === region))
      homes.set(id, [...(homes.get(id) ?? []), region]);
  const misplaced = new Map<string, { tenant: T; reason: string }>();
  const judge = (tenant: T, foundIn: string): string | undefined => {
    const known = homes.get(tenant.id) ?? [];
    if (!regions.includes(tenant.region))
      return `tenant ${tenant.id} lives in region ${tenant.region}, which the stack file does not name; allowed: ${regions.join(", ")}; add the region`;
    if (known.length > 1)
      return `tenant ${tenant.id} stands in the registries of ${known.join(" and ")}; a tenant lives in one region: delete the row that is wrong`;
    if (known.length === 0)
      return `tenant ${tenant.id} of region ${tenant.region} stands only in the registry of ${foundIn}; its row belongs into registry.tenant of ${tenant.region}`;
    const fault = findResidencyFault(rules, tenant, tenant.region);
    return fault === undefined
      ? undefined
      : `${fault}; move it there, or correct its tags or residency in the stack file`;
  };
  for (const { region, tenants } of registries)
    for (const tenant of tenants) {
      const reason = judge(tenant, region);
      if (reason !== undefined) misplaced.set(tenant.id, { tenant, reason });
    }
  return misplaced;
}
