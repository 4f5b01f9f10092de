import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import type pg from "pg";
import { readMirrors } from "../ledger/position.ts";
import { ensureLedger } from "../ledger/schema.ts";
import { findWhereabouts } from "../ledger/whereabouts.ts";
import { reached } from "../mirror/fault-point.ts";
import { connectOperator, migrationRole } from "../onboarding/tenant-database.ts";
import { connect } from "../postgres/connect.ts";
import { withoutRows } from "../postgres/errors.ts";
import { resolveReference } from "../reference.ts";
import { StreamingAead } from "../tink/streaming-aead.ts";
import { KeysetTable } from "../vault/keyset-table.ts";
import type { Transit } from "../vault/transit.ts";
import type { RegionTarget } from "../wave-inputs.ts";
import type { BackupFolder } from "./backup-folder.ts";
import { ensureBackupKeyset, kekVersionOf, type OpenedBackupKeyset } from "./backup-keys.ts";
import { lockBackup } from "./backup-lock.ts";
import { digestDatabase } from "./database-digest.ts";
import { ledgerRootOf, signManifest, streamContext, type Manifest } from "./manifest.ts";
import { dumpStream } from "./postgres-program.ts";

export interface BackupRequest {
  readonly environment: string;
  readonly region: Pick<RegionTarget, "postgresUrl">;
  readonly tenant: string;
  readonly database: string;
  readonly folder: BackupFolder;
  readonly transit: Transit;
  /** 1 to 365. */
  readonly keepDays: number;
  /** What is about to happen, e.g. `prepare r2@4f1c9e2a0b11`. */
  readonly before: string;
}

/**
 * Dumps a tenant's database, ledger included, in one snapshot: streamed through Tink's streaming AEAD under the tenant's
 * keyset of class `backup`, never on disk in clear. Nobody is disturbed; memory is flat. A run that is killed leaves nothing
 * that looks like a backup.
 *
 * @throws {BackupBusyError} {ProgramError} {VaultError} {PostgresError} the tenant's name stands in the message
 */
export async function takeBackup(request: BackupRequest): Promise<Manifest> {
  const { region, tenant, database, folder, transit } = request;
  const url = resolveReference(region.postgresUrl);
  const operator = await connectOperator(url);
  let client: pg.Client | undefined;
  try {
    await lockBackup(operator, tenant);
    await folder.sweep(tenant);
    client = await connect({ url, database, role: migrationRole, applicationName: `rc-backup ${tenant}` });
    await ensureLedger(client);
    const keys = await ensureBackupKeyset(client, transit, tenant);
    return await dump(request, client, url, keys);
  } catch (error) {
    const plain = withoutRows(error);
    if (plain.message.includes(tenant)) throw plain;
    throw new Error(`tenant ${tenant}: ${plain.message}`, { cause: plain });
  } finally {
    await client?.end();
    await operator.end();
  }
}

async function dump(
  request: BackupRequest,
  client: pg.Client,
  url: string,
  keys: OpenedBackupKeyset,
): Promise<Manifest> {
  const { environment, tenant, database, folder, keepDays, before } = request;
  const takenAt = new Date();
  const id = backupId(takenAt);
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  // The session waits while pg_dump works in its snapshot.
  await client.query("SET LOCAL idle_in_transaction_session_timeout = 0");
  const found = await client.query<{ snapshot: string; lsn: string; version: string }>(
    "SELECT pg_export_snapshot() AS snapshot, pg_current_wal_lsn()::text AS lsn, current_setting('server_version_num') AS version",
  );
  const { snapshot = "", lsn = "", version = "" } = found.rows[0] ?? {};
  const stream = dumpStream({ url, database, role: migrationRole }, snapshot);
  const sealer = new StreamingAead(keys.keyset).sealer(streamContext({ environment, tenant, id }));
  const sealed = stream.compose(sealer) as Duplex;
  return folder.write(tenant, id, sealed, async (written) => {
    await reached("backup.written");
    const facts = await describe(client, tenant);
    await client.query("ROLLBACK");
    const manifest = signManifest(
      {
        format: 1,
        id,
        environment,
        tenant,
        takenAt: takenAt.toISOString(),
        expiresAt: new Date(takenAt.getTime() + keepDays * dayMs).toISOString(),
        before,
        lsn,
        serverVersion: Number(version),
        ...facts,
        keyVersions: {
          ...facts.keyVersions,
          oldestKek: Math.min(facts.keyVersions.oldestKek, kekVersionOf(keys.encrypted)),
        },
        sealed: written,
        keyset: keys.encrypted.toString("base64"),
      },
      keys.keyset,
    );
    await reached("backup.described");
    return manifest;
  });
}

const dayMs = 86_400_000;

function backupId(at: Date): string {
  return `${at.toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "")}-${randomBytes(4).toString("hex")}`;
}

type Facts = Pick<
  Manifest,
  "schemaRevision" | "release" | "pin" | "positions" | "ledgerRoot" | "keyVersions" | "tables" | "extensions"
>;

/** What the snapshot says of itself. */
async function describe(client: pg.Client, tenant: string): Promise<Facts> {
  const whereabouts = await findWhereabouts(client);
  if (whereabouts === undefined)
    throw new Error(
      `tenant ${tenant}: rc.whereabouts is empty, no release serves it; finish its onboarding: pulumi up`,
    );
  const mirrors = await readMirrors(client);
  const keysets = await new KeysetTable(client, tenant).all();
  const tables = await digestDatabase(client);
  const extensions = await client.query<{ name: string }>(
    "SELECT extname AS name FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY extname",
  );
  return {
    schemaRevision: (await readRevision(client)) ?? null,
    release: whereabouts.release,
    pin: whereabouts.pin,
    positions: Object.fromEntries([...mirrors.values()].map(({ mirror, position }) => [mirror, position])),
    ledgerRoot: ledgerRootOf(tables),
    keyVersions: {
      oldestKek: Math.min(...keysets.map(({ encrypted }) => kekVersionOf(encrypted))),
      keysets: Object.fromEntries(keysets.map(({ cls, version }) => [cls, version])),
    },
    tables,
    extensions: extensions.rows.map(({ name }) => name),
  };
}

/** Alembic's revision of the database; undefined before the first. */
export async function readRevision(client: pg.Client): Promise<string | undefined> {
  const there = await client.query("SELECT WHERE to_regclass('public.alembic_version') IS NOT NULL");
  if (there.rowCount === 0) return undefined;
  const found = await client.query<{ version_num: string }>("SELECT version_num FROM public.alembic_version");
  return found.rows[0]?.version_num;
}
