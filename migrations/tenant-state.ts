import type pg from "pg";
import { readMirrors } from "./ledger/position.ts";
import { readTotals } from "./ledger/range.ts";
import { findWhereabouts, type Whereabouts } from "./ledger/whereabouts.ts";
import { measureSide } from "./mirror/estimate.ts";
import { countDirty } from "./mirror/follow.ts";
import { getMirror } from "./mirrors.ts";
import { connect } from "./postgres/connect.ts";
import { resolveReference } from "./reference.ts";
import type { TenantState } from "./registry/projection.ts";
import type { RegionTarget } from "./wave-inputs.ts";

/**
 * What a tenant's own ledger says of its mirrors now: the exact answer, of which the registry keeps a copy.
 * @throws {PostgresError} the database cannot be reached
 */
export async function readTenantState(
  tenant: { readonly id: string; readonly database: string },
  region: RegionTarget,
): Promise<TenantState[]> {
  return reading(tenant, region, (client) => readStates(client, tenant.id));
}

/** `readTenantState` in a session that is open. */
export async function readStates(client: pg.Client, tenant: string): Promise<TenantState[]> {
  const mirrors = await readMirrors(client);
  const dirty = await countDirty(client);
  const asOf = new Date();
  const states: TenantState[] = [];
  for (const { mirror, position, epoch } of mirrors.values()) {
    // A retired mirror has no ranges any more, but all its rows would have to be rebuilt: they are counted.
    const { rows, bytes } =
      position === "retired" ? await measureSide(client, getMirror(mirror), "sink") : await readTotals(client, mirror);
    states.push({ tenant, mirror, position, epoch: Number(epoch), rows, bytes, dirty, asOf });
  }
  return states;
}

/**
 * The release that a tenant's database lets in; undefined when it is not onboarded.
 * @throws {PostgresError} the database cannot be reached
 */
export function readWhereabouts(
  tenant: { readonly id: string; readonly database: string },
  region: RegionTarget,
): Promise<Whereabouts | undefined> {
  return reading(tenant, region, findWhereabouts);
}

async function reading<T>(
  tenant: { readonly id: string; readonly database: string },
  region: RegionTarget,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect({
    url: resolveReference(region.postgresUrl),
    database: tenant.database,
    role: "rc_migrator",
    applicationName: `rc-state ${tenant.id}`,
    isReadOnly: true,
  });
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
