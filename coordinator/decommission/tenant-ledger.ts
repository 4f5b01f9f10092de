import { findWhereabouts } from "../../migrations/ledger/whereabouts.ts";
import { readMirrors } from "../../migrations/ledger/position.ts";
import type { Position } from "../../migrations/ledger/position.ts";
import { connect } from "../../migrations/postgres/connect.ts";
import { resolveReference } from "../../migrations/reference.ts";
import type { TenantOverview } from "../../migrations/registry/projection.ts";
import type { Environment } from "../../releases/environment.ts";

/** What a tenant's own database says of what it needs. */
export interface TenantLedger {
  readonly tenant: string;
  readonly positions: Readonly<Record<string, Position>>;
  /** Classes of its keysets with the number of versions, each of them wrapped by the tenant's key in Vault. */
  readonly keysets: Readonly<Record<string, number>>;
  /** Release that it is on. */
  readonly release: string | undefined;
}

/** Databases asked at the same time. */
const concurrency = 8;

/**
 * Asks every tenant's own ledger, whatever the registry says. Reads only.
 * @throws naming the tenant whose database does not answer: who cannot be asked may need what is to leave
 */
export async function readTenantLedgers(
  { regions, name }: Environment,
  tenants: readonly TenantOverview[],
): Promise<TenantLedger[]> {
  const urls = new Map(regions.map((region) => [region.name, region.postgres.url]));
  const ledgers: TenantLedger[] = [];
  for (let start = 0; start < tenants.length; start += concurrency) {
    const some = tenants.slice(start, start + concurrency).map(async (tenant) => {
      const url = urls.get(tenant.region);
      if (url === undefined)
        throw new Error(`tenant ${tenant.id} is in region ${tenant.region}, which ${name}'s stack file does not name`);
      return readLedger(resolveReference(url), tenant).catch((error: Error) => {
        throw new Error(`ledger of tenant ${tenant.id}: ${error.message}; nothing was changed`, { cause: error });
      });
    });
    ledgers.push(...(await Promise.all(some)));
  }
  return ledgers;
}

async function readLedger(url: string, { id, database }: TenantOverview): Promise<TenantLedger> {
  const applicationName = `rc-decommission ${id}`;
  const client = await connect({ url, database, role: "rc_migrator", applicationName, isReadOnly: true });
  try {
    const mirrors = await readMirrors(client);
    const table = await client.query("SELECT WHERE to_regclass('rc.keyset') IS NOT NULL");
    const keysets =
      table.rowCount === 0
        ? []
        : (
            await client.query<{ class: string; versions: string }>(
              "SELECT class, count(*) AS versions FROM rc.keyset GROUP BY class ORDER BY class",
            )
          ).rows;
    return {
      tenant: id,
      positions: Object.fromEntries([...mirrors.values()].map(({ mirror, position }) => [mirror, position])),
      keysets: Object.fromEntries(keysets.map((row) => [row.class, Number(row.versions)])),
      release: (await findWhereabouts(client))?.release,
    };
  } finally {
    await client.end();
  }
}
