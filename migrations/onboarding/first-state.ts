import type pg from "pg";
import { grantRelease } from "../grants.ts";
import { note } from "../ledger/journal.ts";
import type { Position } from "../ledger/position.ts";
import { ensureLedger } from "../ledger/schema.ts";
import { setWhereabouts } from "../ledger/whereabouts.ts";
import { readShapes } from "../mirror/pair-shape.ts";
import { addReference, guardSealedKeys, validateReference } from "../mirror/reference.ts";
import { Sealing } from "../mirror/sealing.ts";
import { allMirrors, getMirror } from "../mirrors.ts";
import { connect } from "../postgres/connect.ts";
import { quoteTable } from "../postgres/identifier.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { Keyring } from "../vault/keyring.ts";
import type { Transit } from "../vault/transit.ts";
import type { ReleaseTarget } from "../wave-inputs.ts";
import { migrationRole } from "./tenant-database.ts";

/** A tenant that nobody has used yet, and the release that it is born under. */
export interface Newborn {
  readonly environment: string;
  readonly tenant: string;
  readonly database: string;
  readonly release: ReleaseTarget & { readonly schema: { readonly oldestOn?: unknown } };
  readonly releaseRoles: readonly string[];
}

/** Positions of a tenant born under a release: its sinks never had a source. */
export const bornPositions = (release: ReleaseTarget): Record<string, Position> =>
  Object.fromEntries(release.sinkMirrors.map((mirror) => [mirror, "retired"]));

/**
 * Everything that a tenant's database needs beyond its tables: ledger, keysets, positions, grants, whereabouts. The
 * release's role gets in with the last commit. Idempotent.
 * @param transit needed when the release has mirrors on their sink
 */
export async function ensureFirstState(url: string, newborn: Newborn, transit: Transit | undefined): Promise<void> {
  const { environment, tenant, database, release } = newborn;
  const client = await connect({ url, database, role: migrationRole, applicationName: "rc-onboarding" });
  try {
    await ensureLedger(client);
    for (const name of release.sinkMirrors) {
      const definition = getMirror(name);
      if (transit === undefined)
        throw new Error(
          `mirror ${name} of ${release.pin} needs Vault, this region has none; name it in the stack file (vault: {address, token})`,
        );
      const keyring = new Keyring({ client, transit, tenant });
      await new Sealing(keyring, definition, environment, tenant).ensure();
      // A loaded sink gets these from the engine; this one is never loaded.
      for (const shape of await readShapes(client, definition)) {
        if (shape.sink === undefined) continue;
        await addReference(client, shape, shape.sink);
        await validateReference(client, shape, shape.sink);
        await guardSealedKeys(client, shape, shape.sink);
      }
    }
    await inTransaction(client, () => begin(client, newborn));
  } finally {
    await client.end();
  }
}

async function begin(client: pg.Client, { tenant, release, releaseRoles }: Newborn): Promise<void> {
  const positions = bornPositions(release);
  const born = await client.query(
    `INSERT INTO rc.mirror AS present (mirror, position) SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT (mirror) DO UPDATE SET position = excluded.position, updated_at = now()
     WHERE present.position <> excluded.position RETURNING mirror`,
    [Object.keys(positions), Object.values(positions)],
  );
  for (const { mirror } of born.rows as { mirror: string }[])
    await note(client, { mirror, event: "born", detail: { release: release.pin, position: positions[mirror] } });
  await client.query(
    `INSERT INTO rc.schema_target (release, expand_to, contract_to, oldest_on) VALUES ($1, $2, $3, $4)
     ON CONFLICT (release) DO UPDATE SET expand_to = excluded.expand_to, contract_to = excluded.contract_to,
       oldest_on = excluded.oldest_on`,
    [release.id, release.schema.expandTo, release.schema.contractTo, JSON.stringify(release.schema.oldestOn ?? {})],
  );
  await grantRelease(client, { release, allReleaseRoles: releaseRoles, positions, mirrors: allMirrors() });
  await setWhereabouts(client, { tenant, release: release.id, pin: release.pin });
}

/**
 * Drops the ledger of an unfinished tenant, so that any release may be its first. Its keysets go with it: they have
 * sealed nothing.
 * @throws when any table holds rows: then somebody has used the tenant, and nothing is changed
 */
export async function forgetFirstState(url: string, tenant: string, database: string): Promise<void> {
  const client = await connect({ url, database, role: migrationRole, applicationName: "rc-onboarding" });
  try {
    await inTransaction(client, async () => {
      const filled = await findFilledTables(client);
      if (filled.length > 0)
        throw new Error(
          `tenant ${tenant} is registered as being onboarded, but ${filled.join(", ")} of ${database} holds rows; only an ` +
            `empty tenant starts over: move the rows away, or set registry.tenant.status to active if it was served`,
        );
      await client.query("DROP SCHEMA IF EXISTS rc CASCADE");
    });
  } finally {
    await client.end();
  }
}

async function findFilledTables(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
       AND relname <> 'alembic_version' AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')`,
  );
  const filled: string[] = [];
  for (const { name } of rows) {
    const found = await client.query(`SELECT FROM ${quoteTable("public", name)} LIMIT 1`);
    if ((found.rowCount ?? 0) > 0) filled.push(name);
  }
  return filled;
}
