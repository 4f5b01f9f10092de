import pg from "pg";
import { connect } from "../../migrations/postgres/connect.ts";
import { resolveReference } from "../../migrations/reference.ts";
import type { TenantOverview } from "../../migrations/registry/projection.ts";
import { registryDatabase } from "../../migrations/registry/registry-session.ts";
import type { Environment } from "../../releases/environment.ts";
import type { Needs } from "./needs.ts";

const applicationName = "rc-decommission";

/**
 * Removes what only Vault's keys could open: keysets of tenants whose sealed copies are gone, and spare probe tenants. It
 * happens before the keys go: an interrupted run then leaves Vault without keysets, never keysets without Vault. A later
 * promotion makes both anew.
 */
export async function removeLeftovers({ regions }: Environment, { keepers, spareProbes }: Needs): Promise<void> {
  const urls = new Map(regions.map((region) => [region.name, resolveReference(region.postgres.url)]));
  const urlOf = (tenant: TenantOverview): string => urls.get(tenant.region) ?? "";
  for (const tenant of keepers) await deleteKeysets(urlOf(tenant), tenant);
  for (const probe of spareProbes) await removeProbe(urlOf(probe), probe);
}

/** @throws when a mirror has moved away from `off` meanwhile: then the keysets are needed, and nothing is deleted */
async function deleteKeysets(url: string, { id, database }: TenantOverview): Promise<void> {
  const client = await connect({ url, database, role: "rc_migrator", applicationName });
  try {
    const deleted = await client.query(
      `WITH unused AS (SELECT WHERE NOT EXISTS (SELECT FROM rc.mirror WHERE position <> 'off')),
         heads AS (DELETE FROM rc.keyset_head USING unused)
       DELETE FROM rc.keyset USING unused`,
    );
    if (deleted.rowCount === 0)
      throw new Error(`tenant ${id} uses its keysets again; nothing of it was deleted: coordinator status`);
  } finally {
    await client.end();
  }
}

/** The database first: a row without a database is finished by the next run, a database without a row stops onboarding. */
async function removeProbe(url: string, { id, database }: TenantOverview): Promise<void> {
  const operator = await connect({ url, database: new URL(url).pathname.slice(1) || "postgres", applicationName });
  try {
    await operator.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(database)} WITH (FORCE)`);
  } finally {
    await operator.end();
  }
  const registry = await connect({
    url,
    database: registryDatabase,
    role: "rc_migrator",
    applicationName,
  });
  try {
    await registry.query("DELETE FROM registry.tenant WHERE id = $1 AND is_probe", [id]);
  } finally {
    await registry.end();
  }
}
