import type pg from "pg";
import { readMirrors } from "../ledger/position.ts";
import { findMirror } from "../mirrors.ts";
import { connectOperator, findOwners, migrationRole } from "../onboarding/tenant-database.ts";
import { connect } from "../postgres/connect.ts";
import { resolveReference } from "../reference.ts";
import type { Registry } from "../registry/registry.ts";
import type { Tenant } from "../registry/tenants.ts";
import type { StreamingKeyset } from "../tink/streaming-keyset.ts";
import type { Transit } from "../vault/transit.ts";
import type { RegionTarget, ReleaseTarget } from "../wave-inputs.ts";
import type { BackupFolder } from "./backup-folder.ts";
import { openBackupKeyset } from "./backup-keys.ts";
import { checkManifest, ManifestError, type Manifest } from "./manifest.ts";
import { readShredLedger } from "./shred-ledger.ts";

/** Which tenant is to be what it was. */
export interface RestoreTarget {
  readonly environment: string;
  readonly region: RegionTarget;
  readonly tenant: Tenant;
  readonly folder: BackupFolder;
  readonly transit: Transit;
  readonly registry: Registry;
  /** Releases whose fleets run for the tenant's wave: `now`, then `back`. */
  readonly releases: readonly ReleaseTarget[];
  /** Roles of all releases. */
  readonly releaseRoles: readonly string[];
}

/** A restore that may be done. */
export interface RestorePlan {
  readonly manifest: Manifest;
  readonly keyset: StreamingKeyset;
  /** Release that serves the tenant afterwards. */
  readonly release: ReleaseTarget;
  /** What the tenant's ledger, and the registry, said last of each mirror's epoch. */
  readonly epochs: ReadonlyMap<string, bigint>;
  readonly hasLiveDatabase: boolean;
}

/** A restore that must not be done; nothing was changed. */
export class RestoreRefusedError extends Error {
  override readonly name = "RestoreRefusedError";
  readonly reasons: readonly string[];

  constructor(reasons: readonly string[]) {
    super(reasons.join("\n"));
    this.reasons = reasons;
  }
}

/**
 * Looks at everything that could forbid a restore; reads only.
 *
 * @param id @default the newest one
 * @throws {RestoreRefusedError} with every reason at once
 */
export async function planRestore(target: RestoreTarget, id?: string): Promise<RestorePlan> {
  const { environment, tenant, folder, transit } = target;
  const reasons: string[] = [];
  const refuse = (error: unknown): undefined => void reasons.push((error as Error).message);
  if (tenant.status !== "suspended")
    reasons.push(
      `tenant ${tenant.id} is ${tenant.status}, and a restore takes its rows away from under its users; first: coordinator maintenance ${environment} on --tenant ${tenant.id}`,
    );
  const shreds = (await readShredLedger(folder.shredLedgerFile).catch(refuse)) ?? [];
  const shred = shreds.find((entry) => entry.tenant === tenant.id && entry.environment === environment);
  if (shred !== undefined)
    reasons.push(
      `tenant ${tenant.id} was shredded on ${shred.shreddedAt} (${folder.shredLedgerFile}): no backup of it may be opened again, whatever Vault still holds`,
    );
  const manifest = await findManifest(folder, tenant.id, id).catch(refuse);
  if (manifest === undefined) throw new RestoreRefusedError(reasons);
  // Whose shred is on record, or cannot be read, is not decrypted even to check a signature.
  const keyset =
    reasons.length > 0 && shred !== undefined ? undefined : await openKeys(transit, manifest).catch(refuse);
  if (keyset !== undefined) reasons.push(...signatureFaults(manifest, keyset));
  const release = findRelease(target.releases, manifest);
  reasons.push(...fitFaults(target, manifest, release));
  const { epochs, hasLiveDatabase } = await readLive(target);
  if (reasons.length > 0 || keyset === undefined || release === undefined) throw new RestoreRefusedError(reasons);
  return { manifest, keyset, release, epochs, hasLiveDatabase };
}

async function findManifest(folder: BackupFolder, tenant: string, id: string | undefined): Promise<Manifest> {
  if (id !== undefined) return folder.read(tenant, id);
  const [newest] = await folder.list(tenant);
  if (newest !== undefined) return newest.manifest;
  throw new ManifestError(
    `tenant ${tenant} has no backup in ${folder.environment}; coordinator backup list shows whose there are`,
  );
}

/** @throws naming what of the keys is gone */
async function openKeys(transit: Transit, manifest: Manifest): Promise<StreamingKeyset> {
  const { id, tenant, keyVersions } = manifest;
  const kek = await transit.findKek(tenant);
  if (kek === undefined)
    throw new Error(
      `backup ${id}: the KEK of tenant ${tenant} is not in ${transit.mount}, so the backup opens no more; restore the Vault that has it: vault operator raft snapshot restore`,
    );
  if (kek.latestVersion < keyVersions.oldestKek)
    throw new Error(
      `backup ${id}: it needs version ${keyVersions.oldestKek} of the KEK of tenant ${tenant}, ${transit.mount} has only ${kek.latestVersion}; restore a newer snapshot of Vault`,
    );
  if (kek.minDecryptionVersion > keyVersions.oldestKek)
    throw new Error(
      `backup ${id}: it needs version ${keyVersions.oldestKek} of the KEK of tenant ${tenant}, and min_decryption_version is ${kek.minDecryptionVersion}; ` +
        `if that version was not trimmed, lower it: vault write ${transit.mount}/keys/kek-${tenant}/config min_decryption_version=${keyVersions.oldestKek}`,
    );
  return openBackupKeyset(transit, tenant, Buffer.from(manifest.keyset, "base64"));
}

function signatureFaults(manifest: Manifest, keyset: StreamingKeyset): string[] {
  try {
    checkManifest(manifest, keyset);
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

/** The release of the dump as it runs now: another content hash of the same release has the same role and schema. */
function findRelease(releases: readonly ReleaseTarget[], manifest: Manifest): ReleaseTarget | undefined {
  return releases.find(({ id }) => id === manifest.release);
}

/** Why the dump does not fit what runs: no fleet for its release, a schema that release does not run with, mirrors nobody knows. */
function fitFaults({ releases, tenant }: RestoreTarget, manifest: Manifest, release?: ReleaseTarget): string[] {
  const running = releases.map(({ pin }) => pin).join(" and ") || "nothing";
  if (release === undefined)
    return [
      `backup ${manifest.id} is of ${manifest.pin}, and for tenant ${tenant.id} runs ${running}: no fleet could serve it; pin ${manifest.release} as now or back of its wave and run pulumi up`,
    ];
  // The release after it may have expanded the schema already; its own contract is the last one it runs with.
  const next = releases.find(({ number }) => number === release.number + 1);
  const allowed = new Set([release.schema.expandTo, release.schema.contractTo, next?.schema.expandTo]);
  const unknown = Object.keys(manifest.positions).filter((mirror) => findMirror(mirror) === undefined);
  return [
    ...(manifest.schemaRevision !== null && allowed.has(manifest.schemaRevision)
      ? []
      : [
          `backup ${manifest.id} has the schema ${manifest.schemaRevision ?? "of nobody"}, ${release.pin} runs with ${[...allowed].filter((each) => each !== undefined).join(", ")}; restore another one: coordinator backup list`,
        ]),
    ...(unknown.length === 0
      ? []
      : [
          `backup ${manifest.id} has the mirrors ${unknown.join(", ")}, which this program does not know; use the one that made it`,
        ]),
  ];
}

/** Epochs that a restored ledger has to exceed, so that no run of before writes into it. */
async function readLive(target: RestoreTarget): Promise<Pick<RestorePlan, "epochs" | "hasLiveDatabase">> {
  const { region, tenant, registry } = target;
  const url = resolveReference(region.postgresUrl);
  const epochs = new Map<string, bigint>();
  const raise = (mirror: string, epoch: bigint): void => {
    if (epoch >= (epochs.get(mirror) ?? 0n)) epochs.set(mirror, epoch);
  };
  for (const { mirror, epoch } of await registry.projection.list([tenant.id])) raise(mirror, BigInt(epoch));
  const hasLiveDatabase = await exists(url, tenant.database);
  if (hasLiveDatabase)
    await withTenantSession(url, tenant.database, async (client) => {
      for (const { mirror, epoch } of (await readMirrors(client)).values()) raise(mirror, epoch);
    });
  return { epochs, hasLiveDatabase };
}

async function exists(url: string, database: string): Promise<boolean> {
  const operator = await connectOperator(url);
  try {
    return (await findOwners(operator, [database])).has(database);
  } finally {
    await operator.end();
  }
}

/** A session of the engine's role on a tenant's database, for as long as `work` takes. */
export async function withTenantSession<T>(
  url: string,
  database: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect({ url, database, role: migrationRole, applicationName: `rc-restore ${database}` });
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
