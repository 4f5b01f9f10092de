import pLimit from "p-limit";
import { bornPositions, ensureFirstState, forgetFirstState } from "./onboarding/first-state.ts";
import type { Newborn } from "./onboarding/first-state.ts";
import { connectOperator, ensureTenantDatabase, findOwners } from "./onboarding/tenant-database.ts";
import { lockOnboarding } from "./onboarding/turns.ts";
import { withoutRows } from "./postgres/errors.ts";
import { resolveReference } from "./reference.ts";
import { ensureRegistry } from "./registry/registry-schema.ts";
import { registryUrl } from "./registry/registry-session.ts";
import { Registry } from "./registry/registry.ts";
import { faultOfTenantId, tenantDatabase } from "./registry/tenant-id.ts";
import { downgradeTo, upgradeTo } from "./schema/alembic.ts";
import type { SchemaResult } from "./schema/alembic.ts";
import { databaseUrl } from "./schema/database-url.ts";
import { Transit } from "./vault/transit.ts";
import type { RegionTarget } from "./wave-inputs.ts";

export interface OnboardingRequest {
  readonly environment: string;
  readonly region: RegionTarget;
  /** Release that the tenants are born under. */
  readonly release: Newborn["release"];
  readonly tenants: readonly { readonly id: string; readonly tags?: readonly string[]; readonly isProbe?: boolean }[];
  /** Login roles of all releases. @default the release's own */
  readonly releaseRoles?: readonly string[];
  /** @default database rc_registry on the region's server */
  readonly registryUrl?: string;
  /** Tenants at the same time, 1 to 32. @default 4 */
  readonly concurrency?: number;
}

/** `unchanged`: was active or suspended already, whatever its release, tags and data. */
export interface OnboardingResult {
  readonly tenant: string;
  readonly status: "done" | "unchanged" | "failed";
  /** Thing, value seen, allowed, mend. */
  readonly reason?: string;
}

/**
 * Makes tenants that can be served: database, tables, ledger, keysets, grants, whereabouts, and last of all route and
 * status, so that a tenant with a route is complete. Idempotent; a run that was killed is finished by the next one, also
 * under another release, since nobody has used the tenant yet. One Alembic process for all. One tenant's failure stops
 * no other. Tenants that exist are left as they are.
 * @returns one result per tenant, in the given order
 * @throws for ids that are not allowed (all of them at once), before anything is made; and when server or registry
 *   cannot be reached
 */
export async function onboardTenants(request: OnboardingRequest): Promise<OnboardingResult[]> {
  refuse(request);
  const { environment, region, release } = request;
  const releaseRoles = [...new Set([...(request.releaseRoles ?? []), release.role])];
  const url = resolveReference(region.postgresUrl);
  const ids = request.tenants.map(({ id }) => id);
  const results = new Map<string, OnboardingResult>();
  const fail = (tenant: string, reason: string) => results.set(tenant, { tenant, status: "failed", reason });
  const limit = pLimit(Math.max(1, Math.min(32, request.concurrency ?? 4)));
  /** Runs one step for all tenants that have not failed yet. */
  const each = (step: (tenant: string, database: string) => Promise<void>, among = ids) =>
    limit.map(
      among.filter((id) => !results.has(id)),
      async (id) => {
        try {
          await step(id, tenantDatabase(id));
        } catch (error) {
          fail(id, `tenant ${id}: ${withoutRows(error).message}`);
        }
      },
    );
  const targets = (among = ids) =>
    among.filter((id) => !results.has(id)).map((id) => ({ database: id, url: databaseUrl(url, tenantDatabase(id)) }));
  const judge = (outcomes: readonly SchemaResult[]) => {
    for (const { database: id, status, reason } of outcomes)
      if (status !== "done") fail(id, `tenant ${id}: ${reason ?? status}`);
  };

  const registryAt = request.registryUrl ?? registryUrl(url);
  await ensureRegistry(registryAt, releaseRoles);
  const registry = new Registry(registryAt);
  const turns = await lockOnboarding(registryAt, ids);
  try {
    for (const [id, reason] of turns.busy) fail(id, reason);
    const unfinished = await enrol(request, url, registry, results);
    await each((_, database) => ensureTenantDatabase(url, database, releaseRoles));
    // What a killed run left may be another release's: such tenants start over. Revisions refuse to drop a single row.
    await each((tenant, database) => forgetFirstState(url, tenant, database), unfinished);
    judge(await downgradeTo(targets(unfinished), "base"));
    judge(await upgradeTo(targets(), release.schema.contractTo, { concurrency: limit.concurrency }));
    const transit = transitOf(environment, region);
    await each((tenant, database) =>
      ensureFirstState(url, { environment, tenant, database, release, releaseRoles }, transit),
    );
    await open(
      request,
      registry,
      ids.filter((id) => !results.has(id)),
    );
  } finally {
    await turns.end();
    await registry.close();
  }
  return ids.map((tenant) => results.get(tenant) ?? { tenant, status: "done" });
}

function refuse({ tenants }: OnboardingRequest): void {
  const ids = tenants.map(({ id }) => id);
  const twice = new Set(ids.filter((id, index) => ids.indexOf(id) !== index));
  const faults = [
    ...ids.map(faultOfTenantId).filter((fault) => fault !== undefined),
    ...[...twice].map((id) => `tenant id ${JSON.stringify(id)} stands there twice; remove one`),
  ];
  if (faults.length > 0) throw new Error(`nothing was onboarded: ${faults.join("; ")}`);
}

/**
 * Tells new tenants from finished and unfinished ones, and registers the new ones.
 * @returns unfinished ones, begun by a run that did not end
 */
async function enrol(
  { region, release, tenants }: OnboardingRequest,
  url: string,
  registry: Registry,
  results: Map<string, OnboardingResult>,
): Promise<string[]> {
  const fail = (tenant: string, reason: string) =>
    results.set(tenant, { tenant, status: "failed", reason: `tenant ${tenant}: ${reason}` });
  const known = new Map(
    (await registry.tenants.list({ ids: tenants.map(({ id }) => id) })).map((row) => [row.id, row]),
  );
  const fresh = tenants.filter(({ id }) => !known.has(id) && !results.has(id));
  const operator = await connectOperator(url);
  const owners = await findOwners(
    operator,
    fresh.map(({ id }) => tenantDatabase(id)),
  ).finally(() => operator.end());
  for (const { id } of fresh)
    if (owners.has(tenantDatabase(id)))
      fail(
        id,
        `database ${tenantDatabase(id)} exists but the registry does not know the tenant; its data may be somebody's: ` +
          "restore the registry's row, or rename or drop the database, then run this again",
      );
  for (const { id, region: home, status } of known.values()) {
    if (results.has(id)) continue;
    if (home !== region.name) fail(id, `is in region ${home}, not in ${region.name}; leave it out here`);
    else if (status !== "onboarding") results.set(id, { tenant: id, status: "unchanged" });
  }
  await registry.tenants.register(
    fresh
      .filter(({ id }) => !results.has(id))
      .map(({ id, tags = [], isProbe = false }) => ({
        id,
        tags,
        isProbe,
        region: region.name,
        database: tenantDatabase(id),
        bornRelease: release.id,
      })),
  );
  return [...known.keys()].filter((id) => !results.has(id));
}

/** The last step, one transaction: from here on the gateway serves the tenants and waves count them. */
async function open({ release }: OnboardingRequest, registry: Registry, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const asOf = new Date();
  await registry.transaction(async ({ tenants, routes, projection }) => {
    await tenants.rebear(ids, release.id);
    await routes.point(ids, { release: release.id, pin: release.pin });
    await projection.record(
      ids.flatMap((tenant) =>
        Object.entries(bornPositions(release)).map(([mirror, position]) => {
          return { tenant, mirror, position, epoch: 0, rows: 0, bytes: 0, dirty: 0, asOf };
        }),
      ),
    );
    await tenants.setStatus("onboarding", "active", { ids });
  });
}

function transitOf(environment: string, region: RegionTarget): Transit | undefined {
  if (region.vaultAddress === undefined || region.vaultToken === undefined) return undefined;
  return new Transit({
    address: resolveReference(region.vaultAddress),
    token: resolveReference(region.vaultToken),
    mount: region.transitMount ?? `transit-${environment}`,
  });
}
