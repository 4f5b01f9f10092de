import type { Duplex } from "node:stream";
import type pg from "pg";
import { grantRelease } from "../grants.ts";
import { note } from "../ledger/journal.ts";
import { ensureMirror, readMirrors, type Position } from "../ledger/position.ts";
import { lockTenant, unlockTenant } from "../ledger/tenant-lock.ts";
import { setWhereabouts } from "../ledger/whereabouts.ts";
import { reached } from "../mirror/fault-point.ts";
import { allMirrors } from "../mirrors.ts";
import { connectOperator, ensureTenantDatabase, findOwners, migrationRole } from "../onboarding/tenant-database.ts";
import { connect } from "../postgres/connect.ts";
import { withoutRows } from "../postgres/errors.ts";
import { quoteName } from "../postgres/identifier.ts";
import { inSnapshot, inTransaction } from "../postgres/transaction.ts";
import { resolveReference } from "../reference.ts";
import { readTenantState } from "../tenant-state.ts";
import { StreamingAead } from "../tink/streaming-aead.ts";
import { KeysetTable, type KeysetRow } from "../vault/keyset-table.ts";
import { adoptKeysets } from "./adopt-keysets.ts";
import { lockBackup } from "./backup-lock.ts";
import { digestDatabase, digestFaults } from "./database-digest.ts";
import { ledgerRootOf, streamContext } from "./manifest.ts";
import { restoreStream } from "./postgres-program.ts";
import { withTenantSession, type RestorePlan, type RestoreTarget } from "./restore-plan.ts";
import { swapDatabases } from "./swap-databases.ts";

export interface RestoreResult {
  /** `finished`: a killed run had put the database in place already, only the registry was told. */
  readonly status: "restored" | "finished";
  readonly backup: string;
  readonly release: string;
  readonly pin: string;
  readonly rows: number;
  /** Database that was replaced and is kept; absent when there was none. */
  readonly previous?: string;
}

/**
 * Makes a tenant what it was when the backup was taken: into a new database, compared with the manifest table by table, put
 * in place by one rename. Until then nothing is changed, whatever fails; afterwards only the registry is left to be told,
 * which the next run does. The replaced database is kept and closed. Safe to repeat.
 *
 * @throws {StreamOpenError} {ProgramError} {VaultError} {PostgresError} and Error naming what does not agree
 */
export async function restoreBackup(target: RestoreTarget, plan: RestorePlan): Promise<RestoreResult> {
  const { region, tenant } = target;
  const url = resolveReference(region.postgresUrl);
  const operator = await connectOperator(url);
  let guard: pg.Client | undefined;
  try {
    await lockBackup(operator, tenant.id);
    if (plan.hasLiveDatabase) {
      const unfinished = await withTenantSession(url, tenant.database, findUnfinished);
      if (unfinished === plan.manifest.id) return { ...(await finish(target, plan)), status: "finished" };
      guard = await connect({
        url,
        database: tenant.database,
        role: migrationRole,
        applicationName: "rc-restore guard",
      });
      await lockTenant(guard, tenant.id, enginePatienceMs);
    }
    const live = guard === undefined ? [] : await readKeysets(guard, tenant.id);
    const restored = `${tenant.database}_restoring`;
    await dropDatabase(operator, restored); // of a run that was killed
    const previous = await fill(target, plan, { operator, url, restored, live, guard });
    await reached("restore.swapped");
    return { ...(await finish(target, plan)), ...(plan.hasLiveDatabase ? { previous } : {}) };
  } catch (error) {
    throw withoutRows(error);
  } finally {
    await guard?.end().catch(() => undefined);
    await operator.end();
  }
}

/** An engine or a keeper at work is waited for this long. */
const enginePatienceMs = 30_000;

interface Filling {
  readonly operator: pg.Client;
  readonly url: string;
  readonly restored: string;
  readonly live: readonly KeysetRow[];
  readonly guard: pg.Client | undefined;
}

/** The new database, up to the rename. @returns name of the replaced one */
async function fill(target: RestoreTarget, plan: RestorePlan, filling: Filling): Promise<string> {
  const { tenant, folder, transit, releaseRoles } = target;
  const { manifest, keyset } = plan;
  const { operator, url, restored, live, guard } = filling;
  try {
    await ensureTenantDatabase(url, restored, releaseRoles);
    await makeExtensions(url, restored, manifest.extensions);
    await reached("restore.made");
    const opener = new StreamingAead(keyset).opener(streamContext(manifest));
    const dump = folder.readDump(tenant.id, manifest.id).compose(opener) as Duplex;
    await restoreStream({ url, database: restored, role: migrationRole }, dump);
    await reached("restore.loaded");
    await withTenantSession(url, restored, async (client) => {
      await compare(client, plan);
      await adoptKeysets(client, transit, tenant.id, live);
      await adoptLedger(client, target, plan);
      await client.query("ANALYZE");
    });
    await reached("restore.adopted");
    const previous = `${tenant.database}_was_${Math.floor(Date.now() / 1000).toString(36)}`;
    if (guard !== undefined) await unlockTenant(guard);
    await guard?.end();
    await swapDatabases(operator, { live: tenant.database, restored, previous });
    return previous;
  } catch (error) {
    await dropDatabase(operator, restored).catch(() => undefined); // the next run does it
    throw error;
  }
}

async function makeExtensions(url: string, database: string, names: readonly string[]): Promise<void> {
  const client = await connect({ url, database, applicationName: "rc-restore" });
  try {
    for (const name of names)
      await client.query(`CREATE EXTENSION IF NOT EXISTS ${quoteName(name)} WITH SCHEMA public`);
  } finally {
    await client.end();
  }
}

/** @throws naming the tables that are not what the manifest says */
async function compare(client: pg.Client, { manifest }: RestorePlan): Promise<void> {
  const tables = await inSnapshot(client, digestDatabase);
  const faults = digestFaults(manifest.tables, tables);
  if (faults.length === 0 && ledgerRootOf(tables) !== manifest.ledgerRoot) faults.push("the ledger has another root");
  if (faults.length === 0) return;
  throw new Error(
    `backup ${manifest.id} of tenant ${manifest.tenant} did not become what its manifest says: ${faults.join("; ")}; nothing was changed: restore another one`,
  );
}

/** One transaction: epochs beyond every run of before, privileges and whereabouts of the release as it runs now. */
async function adoptLedger(client: pg.Client, target: RestoreTarget, plan: RestorePlan): Promise<void> {
  const { tenant, releaseRoles } = target;
  const { manifest, release, epochs } = plan;
  await inTransaction(client, async () => {
    // A mirror that was begun after the backup: the registry has to hear that it is off again.
    for (const mirror of epochs.keys()) await ensureMirror(client, mirror);
    await client.query(
      `UPDATE rc.mirror SET epoch = greatest(mirror.epoch, coalesce(known.epoch, 0)) + 1, holder = 'restore',
         cancel = false, pause = false, updated_at = now()
       FROM rc.mirror AS present LEFT JOIN unnest($1::text[], $2::bigint[]) AS known (mirror, epoch) USING (mirror)
       WHERE present.mirror = mirror.mirror`,
      [[...epochs.keys()], [...epochs.values()].map(String)],
    );
    const positions: Record<string, Position> = Object.fromEntries(
      [...(await readMirrors(client)).values()].map(({ mirror, position }) => [mirror, position]),
    );
    await grantRelease(client, { release, allReleaseRoles: releaseRoles, positions, mirrors: allMirrors() });
    await setWhereabouts(client, { tenant: tenant.id, release: release.id, pin: release.pin });
    const { id, takenAt, lsn } = manifest;
    await note(client, { event: "restored", detail: { backup: id, takenAt, lsn } });
  });
}

/** Id of the backup that was put in place without the registry having been told. */
async function findUnfinished(client: pg.Client): Promise<string | undefined> {
  const found = await client.query<{ event: string; backup: string }>(
    `SELECT event, detail ->> 'backup' AS backup FROM rc.journal WHERE event IN ('restored', 'restored-told')
     ORDER BY id DESC LIMIT 1`,
  );
  const [last] = found.rows;
  return last?.event === "restored" ? last.backup : undefined;
}

/** Tells the registry what the database in place says of itself: one transaction, then the note that it knows. */
async function finish(
  { region, tenant, registry }: RestoreTarget,
  { manifest, release }: RestorePlan,
): Promise<RestoreResult> {
  const states = await readTenantState(tenant, region);
  await registry.transaction(async ({ routes, projection }) => {
    await routes.point([tenant.id], { release: release.id, pin: release.pin });
    await projection.record(states);
  });
  await withTenantSession(resolveReference(region.postgresUrl), tenant.database, (client) =>
    note(client, { event: "restored-told", detail: { backup: manifest.id } }),
  );
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  return { status: "restored", backup: manifest.id, release: release.id, pin: release.pin, rows };
}

async function readKeysets(client: pg.Client, tenant: string): Promise<KeysetRow[]> {
  const there = await client.query("SELECT WHERE to_regclass('rc.keyset') IS NOT NULL");
  return there.rowCount === 0 ? [] : new KeysetTable(client, tenant).all();
}

async function dropDatabase(operator: pg.Client, database: string): Promise<void> {
  const owner = (await findOwners(operator, [database])).get(database);
  if (owner === undefined) return;
  if (owner !== migrationRole)
    throw new Error(
      `database ${database} is in the way and belongs to ${owner}; rename or drop it, then restore again`,
    );
  await operator.query(`DROP DATABASE ${quoteName(database)} WITH (FORCE)`);
}
