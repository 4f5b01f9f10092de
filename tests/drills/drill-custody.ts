import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { BackupFolder } from "../../migrations/backup/backup-folder.ts";
import type { Manifest } from "../../migrations/backup/manifest.ts";
import { restoreBackup, type RestoreResult } from "../../migrations/backup/restore-backup.ts";
import { planRestore, type RestoreTarget } from "../../migrations/backup/restore-plan.ts";
import { takeBackup } from "../../migrations/backup/take-backup.ts";
import { ensureRegistry } from "../../migrations/registry/registry-schema.ts";
import { Registry } from "../../migrations/registry/registry.ts";
import { Transit } from "../../migrations/vault/transit.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { createDatabase, dropDatabase, getPostgresUrl, getVault } from "../servers.ts";
import { environment, type DrillTenant } from "./drill-tenant.ts";

/** What stands around one tenant of a drill while it is dumped and restored: a registry, a folder, its KEK. */
export class DrillCustody {
  readonly registry: Registry;
  /** Superuser URL of the registry. */
  readonly registryUrl: string;
  readonly root: string;
  readonly folder: BackupFolder;
  readonly transit = new Transit({ ...getVault(), mount: `transit-${environment}` });
  readonly #tenant: DrillTenant;

  private constructor(tenant: DrillTenant, registryUrl: string, root: string) {
    this.#tenant = tenant;
    this.registryUrl = registryUrl;
    this.registry = new Registry(registryUrl);
    this.root = root;
    this.folder = new BackupFolder(root, environment);
  }

  /** @param release that serves the tenant */
  static async open(tenant: DrillTenant, release: typeof r1): Promise<DrillCustody> {
    const registryUrl = await createDatabase(`${tenant.database}_registry`);
    await ensureRegistry(registryUrl, [r1.role, r2.role]);
    const custody = new DrillCustody(tenant, registryUrl, await mkdtemp(join(tmpdir(), "rc-drill-")));
    const { tenant: id, database } = tenant;
    await custody.registry.tenants.register([
      { id, database, region: "local", tags: [], isProbe: false, bornRelease: "r1" },
    ]);
    await custody.registry.routes.point([id], { release: release.id, pin: release.pin });
    await custody.registry.tenants.setStatus("onboarding", "active", { ids: [id] });
    return custody;
  }

  take(before = "request"): Promise<Manifest> {
    const { tenant, database } = this.#tenant;
    const { region } = this.#tenant.job(r1);
    const { folder, transit } = this;
    return takeBackup({ environment, region, tenant, database, folder, transit, keepDays: 7, before });
  }

  async maintenance(isOn: boolean): Promise<void> {
    const [from, to] = isOn ? (["active", "suspended"] as const) : (["suspended", "active"] as const);
    await this.registry.tenants.setStatus(from, to, { ids: [this.#tenant.tenant] });
  }

  async target(changes: Partial<RestoreTarget> = {}): Promise<RestoreTarget> {
    return {
      environment,
      region: this.#tenant.job(r1).region,
      tenant: await this.registry.tenants.get(this.#tenant.tenant),
      folder: this.folder,
      transit: this.transit,
      registry: this.registry,
      releases: [r2, r1],
      releaseRoles: [r1.role, r2.role],
      ...changes,
    };
  }

  async restore(id: string): Promise<RestoreResult> {
    const target = await this.target();
    return restoreBackup(target, await planRestore(target, id));
  }

  /** Why a restore is refused. @throws {Error} it is not */
  async refusal(id: string, changes: Partial<RestoreTarget> = {}): Promise<string> {
    const target = await this.target(changes);
    const plan = await planRestore(target, id).catch((error: unknown) => error as Error);
    if (plan instanceof Error) return plan.message;
    throw new Error("the restore was not refused");
  }

  /** Ends everything, databases that restores have put aside included. */
  async close(): Promise<void> {
    await this.registry.close();
    const client = new pg.Client({ connectionString: getPostgresUrl() });
    await client.connect();
    const aside = await client.query<{ datname: string }>(
      "SELECT datname FROM pg_database WHERE datname ~ ('^' || $1 || '_(was_|registry$|restoring$)')",
      [this.#tenant.database],
    );
    await client.end();
    for (const { datname } of aside.rows) await dropDatabase(datname);
    await rm(this.root, { recursive: true, force: true });
  }
}
