import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";
import { BackupFolder } from "../../../migrations/backup/backup-folder.ts";
import type { Manifest } from "../../../migrations/backup/manifest.ts";
import { restoreBackup, type RestoreResult } from "../../../migrations/backup/restore-backup.ts";
import { planRestore, type RestoreTarget } from "../../../migrations/backup/restore-plan.ts";
import { takeBackup } from "../../../migrations/backup/take-backup.ts";
import { Registry } from "../../../migrations/registry/registry.ts";
import { tenantDatabase } from "../../../migrations/registry/tenant-id.ts";
import { Keyring } from "../../../migrations/vault/keyring.ts";
import { Transit } from "../../../migrations/vault/transit.ts";
import { databaseUrl, dropDatabase, getPostgresUrl, getVault } from "../../servers.ts";
import { askVault } from "../vault/test-vault.ts";
import type { Act } from "./act-process.ts";
import { openFixture, r1, r2, type OnboardingFixture } from "../onboarding-fixture.ts";

/** Onboarded tenants with a registry of their own, a folder for backups, and the acts under test. */
export class BackupFixture {
  readonly onboarding: OnboardingFixture;
  readonly registry: Registry;
  readonly folder: BackupFolder;
  readonly root: string;
  readonly transit = new Transit({ ...getVault(), mount: "transit-onb" });
  readonly #sessions: pg.Client[] = [];
  /** Onboarded and not given out yet. */
  readonly #spare: string[] = [];

  private constructor(onboarding: OnboardingFixture, root: string) {
    this.onboarding = onboarding;
    this.registry = new Registry(onboarding.registryUrl);
    this.root = root;
    this.folder = new BackupFolder(root, "onb");
  }

  /** @param tenants of R1 that the tests will ask for: made at once they take a third of the time */
  static async open(name: string, tenants: number): Promise<BackupFixture> {
    const fixture = new BackupFixture(await openFixture(name), await mkdtemp(join(tmpdir(), "rc-backup-")));
    const ids = Array.from({ length: tenants }, newId);
    for (const result of await fixture.onboarding.onboard(r1, ids))
      if (result.status !== "done") throw new Error(result.reason);
    fixture.#spare.push(...ids);
    return fixture;
  }

  /** A tenant with prompts in clear, under R1. @returns its id */
  async tenant(prompts = 300): Promise<string> {
    const id = this.#spare.pop();
    if (id === undefined) throw new Error("no tenant is left; ask `open` for more");
    await this.onboarding.query(id, [
      `WITH added AS (INSERT INTO prompts (title) SELECT 'p' || n FROM generate_series(1, ${prompts}) AS n RETURNING id)
       INSERT INTO prompt_bodies SELECT id, 'body of ' || id || repeat(' lorem', 20) FROM added`,
    ]);
    return id;
  }

  async admin(tenant: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: databaseUrl(tenantDatabase(tenant)) });
    client.on("error", () => undefined);
    await client.connect();
    this.#sessions.push(client);
    return client;
  }

  async keyring(tenant: string): Promise<Keyring> {
    return new Keyring({ client: await this.admin(tenant), transit: this.transit, tenant });
  }

  take(tenant: string, before = "request"): Promise<Manifest> {
    const { region } = this.onboarding;
    const database = tenantDatabase(tenant);
    const { folder, transit } = this;
    return takeBackup({ environment: "onb", region, tenant, database, folder, transit, keepDays: 7, before });
  }

  async target(tenant: string, changes: Partial<RestoreTarget> = {}): Promise<RestoreTarget> {
    return {
      environment: "onb",
      region: this.onboarding.region,
      tenant: await this.registry.tenants.get(tenant),
      folder: this.folder,
      transit: this.transit,
      registry: this.registry,
      releases: [r1, r2],
      releaseRoles: [r1.role, r2.role],
      ...changes,
    };
  }

  async maintenance(tenant: string, isOn: boolean): Promise<void> {
    const [from, to] = isOn ? (["active", "suspended"] as const) : (["suspended", "active"] as const);
    await this.registry.tenants.setStatus(from, to, { ids: [tenant] });
  }

  async restore(tenant: string, id?: string, changes: Partial<RestoreTarget> = {}): Promise<RestoreResult> {
    const target = await this.target(tenant, changes);
    return restoreBackup(target, await planRestore(target, id));
  }

  /** An act in a process that dies at a fault point. */
  async runKilled(act: Act, at: string): Promise<{ readonly signal?: string | undefined }> {
    const order = { ...act, root: this.root, registryUrl: this.onboarding.registryUrl };
    return execa(process.execPath, [join(import.meta.dirname, "act-process.ts")], {
      env: { RC_TEST_ACT: JSON.stringify(order), RC_FAULT_POINT: at },
      reject: false,
    });
  }

  /** A request to Vault by the root token. */
  async vault(method: string, path: string, body?: object): Promise<void> {
    const { status } = await askVault(method, path, body);
    if (status >= 400) throw new Error(`${method} ${path}: HTTP ${status}`);
  }

  async drop(database: string): Promise<void> {
    await Promise.all(this.#sessions.splice(0).map((client) => client.end().catch(() => undefined)));
    await dropDatabase(database);
  }

  /** Databases of the server whose name begins with the tenant's. */
  async databases(tenant: string): Promise<string[]> {
    const client = new pg.Client({ connectionString: getPostgresUrl() });
    await client.connect();
    try {
      const { rows } = await client.query<{ datname: string }>(
        "SELECT datname FROM pg_database WHERE starts_with(datname, $1) ORDER BY datname",
        [tenantDatabase(tenant)],
      );
      return rows.map(({ datname }) => datname);
    } finally {
      await client.end();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((client) => client.end().catch(() => undefined)));
    const client = new pg.Client({ connectionString: getPostgresUrl() });
    await client.connect();
    const { rows } = await client.query<{ name: string }>(
      "SELECT quote_ident(datname) AS name FROM pg_database WHERE datname ~ '^tenant_bk_'",
    );
    for (const { name } of rows) await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await client.end();
    await this.registry.close();
    await this.onboarding.close();
    await rm(this.root, { recursive: true, force: true });
  }
}

function newId(): string {
  return `bk-${randomBytes(4).toString("hex")}`;
}
