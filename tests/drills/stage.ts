import type { Position } from "../../migrations/ledger/position.ts";
import { type BaseTenants, cloneDatabase } from "./base-tenants.ts";
import { DrillTenant } from "./drill-tenant.ts";

/** What a case works on: fresh tenants in any position, and the engine under test. */
export class Stage {
  readonly base: BaseTenants;
  /** Folder of the engine under test. */
  readonly migrationsFolder: string;
  readonly #tenants: DrillTenant[] = [];
  static #copies = 0;

  constructor(base: BaseTenants, migrationsFolder: string) {
    this.base = base;
    this.migrationsFolder = migrationsFolder;
  }

  /**
   * The base tenant's rows in this position, in a database of their own.
   *
   * @param tenant another id, of which Vault has not heard: possible only in position `off`. @default the base tenant's
   */
  async tenant(position: Position, tenant: string = this.base.tenant): Promise<DrillTenant> {
    const database = `${tenant.replaceAll("-", "_")}_${(Stage.#copies += 1)}`;
    await cloneDatabase(this.base.databaseOf(position), database);
    const opened = await DrillTenant.open(tenant, database, this.migrationsFolder);
    this.#tenants.push(opened);
    return opened;
  }

  /** The same tenant with a new session: a restore ends those of the database that it replaces. */
  async reopen(tenant: DrillTenant): Promise<DrillTenant> {
    const opened = await DrillTenant.open(tenant.tenant, tenant.database, this.migrationsFolder);
    this.#tenants.push(opened);
    return opened;
  }

  /** Ends what a case has left. */
  async clear(): Promise<void> {
    await Promise.all(this.#tenants.splice(0).map((tenant) => tenant.close()));
  }
}
