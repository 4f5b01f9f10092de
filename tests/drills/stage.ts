import type { Position } from "../../migrations/ledger/position.ts";
import { type BaseTenants, cloneDatabase } from "./base-tenants.ts";
import { DrillTenant } from "./drill-tenant.ts";
import type { OwnServers } from "./own-servers.ts";

/** What a case works on: fresh tenants in any position, and the engine under test. */
export class Stage {
  readonly base: BaseTenants;
  /** Folder of the engine under test. */
  readonly migrationsFolder: string;
  readonly #tenants: DrillTenant[] = [];
  readonly #servers: OwnServers | undefined;
  static #copies = 0;

  /** @param servers those of `base`, if they are this stage's own */
  constructor(base: BaseTenants, migrationsFolder: string, servers?: OwnServers) {
    this.base = base;
    this.#servers = servers;
    this.migrationsFolder = migrationsFolder;
  }

  /** Servers that a case may stop. @throws {Error} they belong to somebody else */
  get servers(): OwnServers {
    if (this.#servers === undefined) throw new Error("this stage has no servers of its own: nobody may stop them");
    return this.#servers;
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
