import pLimit from "p-limit";
import { ensureLedger } from "./ledger/schema.ts";
import { connect } from "./postgres/connect.ts";
import { withoutRows } from "./postgres/errors.ts";
import { inTransaction } from "./postgres/transaction.ts";
import { resolveReference } from "./reference.ts";
import { registryUrl } from "./registry/registry-session.ts";
import { Registry } from "./registry/registry.ts";
import { membersOf } from "./registry/selector.ts";
import type { Wave } from "./registry/selector.ts";
import type { Tenant } from "./registry/tenants.ts";
import type { RegionTarget } from "./wave-inputs.ts";

/** Whom a command is for, in one region. */
export interface ControlTarget {
  readonly region: Pick<RegionTarget, "name" | "postgresUrl">;
  /** @default database rc_registry on the region's server */
  readonly registryUrl?: string;
  /** Ids. @default all tenants, probes too, or those of `wave` */
  readonly tenants?: readonly string[];
  /** One wave of these, suspended tenants included. */
  readonly wave?: { readonly waves: readonly Wave[]; readonly name: string };
}

/** Flags that a run honours within one chunk; left out = as it is. */
export interface TenantFlags {
  /** End `partial`, for runs of updates that have begun by now; the next update clears it. */
  readonly cancel?: boolean;
  /** Wait before the next chunk. Stays until somebody clears it. */
  readonly pause?: boolean;
}

/** `absent`: no mirror has ever been begun there, so nothing can be running. */
export interface FlagResult {
  readonly tenant: string;
  readonly status: "done" | "absent" | "failed";
  readonly reason?: string;
}

/**
 * Sets or clears flags in the ledgers of tenants, 16 at a time. One tenant's failure stops no other.
 * @throws when the registry cannot be reached, or a wave or tenant is unknown
 */
export async function setFlags(target: ControlTarget, flags: TenantFlags): Promise<FlagResult[]> {
  const url = resolveReference(target.region.postgresUrl);
  const tenants = await withRegistry(target, true, (registry) => findTargets(registry, target));
  return pLimit(16).map(tenants, async ({ id, database }): Promise<FlagResult> => {
    try {
      return { tenant: id, status: (await flag(url, database, flags)) ? "done" : "absent" };
    } catch (error) {
      return { tenant: id, status: "failed", reason: `tenant ${id}: ${withoutRows(error).message}` };
    }
  });
}

async function flag(url: string, database: string, { cancel, pause }: TenantFlags): Promise<boolean> {
  const client = await connect({ url, database, role: "rc_migrator", applicationName: "rc-control" });
  try {
    const ledger = await client.query("SELECT WHERE to_regclass('rc.mirror') IS NOT NULL");
    if (ledger.rowCount === 0) return false;
    await ensureLedger(client); // one of an older program cannot tell when the flag was set
    // A chunk holds its row for half a second; the wait for it ends with the chunk.
    const update = () =>
      client.query(
        `UPDATE rc.mirror SET cancel = coalesce($1, cancel), pause = coalesce($2, pause), updated_at = now(),
           cancelled_at = CASE WHEN $1 THEN clock_timestamp() ELSE cancelled_at END`,
        [cancel, pause],
      );
    return ((await inTransaction(client, update, { lockTimeoutMs: 1000 })).rowCount ?? 0) > 0;
  } finally {
    await client.end();
  }
}

/**
 * Takes tenants out of service (503 with Retry-After at the gateway) or back into it. A suspended tenant keeps its
 * route, its data and its wave, but waves leave it alone; the update after its return moves it. Idempotent.
 * @returns ids of tenants whose status changed
 * @throws naming tenants that are unknown or still being onboarded
 */
export async function setMaintenance(target: ControlTarget, isOn: boolean): Promise<string[]> {
  return withRegistry(target, false, async (registry) => {
    const tenants = await findTargets(registry, target);
    const unfinished = tenants.filter(({ status }) => status === "onboarding").map(({ id }) => id);
    if (unfinished.length > 0 && target.tenants !== undefined)
      throw new Error(
        `${unfinished.join(", ")}: still being onboarded, so not served; finish with pulumi up, or leave it out`,
      );
    const [from, to] = isOn ? (["active", "suspended"] as const) : (["suspended", "active"] as const);
    return registry.tenants.setStatus(from, to, { ids: tenants.map(({ id }) => id), region: target.region.name });
  });
}

async function withRegistry<T>(
  { region, registryUrl: url }: ControlTarget,
  isReadOnly: boolean,
  work: (registry: Registry) => Promise<T>,
): Promise<T> {
  const registry = new Registry(url ?? registryUrl(resolveReference(region.postgresUrl)), { isReadOnly });
  try {
    return await work(registry);
  } finally {
    await registry.close();
  }
}

async function findTargets(registry: Registry, { region, tenants, wave }: ControlTarget): Promise<Tenant[]> {
  const known = await registry.tenants.list({ region: region.name });
  const unknown = (tenants ?? []).filter((id) => !known.some((tenant) => tenant.id === id));
  if (unknown.length > 0)
    throw new Error(
      `${unknown.join(", ")}: not in region ${region.name}; coordinator status lists the tenants that are`,
    );
  if (wave !== undefined && !wave.waves.some(({ name }) => name === wave.name))
    throw new Error(`wave ${wave.name} is unknown; allowed: ${wave.waves.map(({ name }) => name).join(", ")}`);
  const named = tenants === undefined ? known : known.filter(({ id }) => tenants.includes(id));
  if (wave === undefined) return named;
  const members = membersOf(wave.waves, named);
  return [...(members.waves.get(wave.name) ?? []), ...(members.suspended.get(wave.name) ?? [])];
}
