import { ensureRegistry } from "../../migrations/registry/registry-schema.ts";
import pg from "pg";
import type { RegionTarget, ReleaseTarget, WaveInputs } from "../../migrations/wave-inputs.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { createDatabase, databaseUrl, dropDatabase } from "../servers.ts";
import { type DrillTenant, environment } from "./drill-tenant.ts";

const registryDatabase = "rc_registry";

/** A registry with one wave of tenants, as the nodes of a wave find it. */
export class DrillWave implements AsyncDisposable {
  /** Superuser session on the registry. */
  readonly admin: pg.Client;

  private constructor(admin: pg.Client) {
    this.admin = admin;
  }

  static async make(tenants: readonly DrillTenant[]): Promise<DrillWave> {
    await createDatabase(registryDatabase);
    const url = databaseUrl(registryDatabase);
    await ensureRegistry(url, [r1.role, r2.role]);
    const admin = new pg.Client({ connectionString: url });
    admin.on("error", () => {}); // dropping the database at the end cuts it
    await admin.connect();
    for (const { tenant, database } of tenants) {
      await admin.query(
        `INSERT INTO registry.tenant (id, region, database, born_release, status) VALUES ($1, 'local', $2, 'r1', 'active')`,
        [tenant, database],
      );
      await admin.query("INSERT INTO registry.route (tenant, release, pin) VALUES ($1, $2, $3)", [
        tenant,
        r1.id,
        r1.pin,
      ]);
    }
    return new DrillWave(admin);
  }

  /** Inputs of a node of the wave. */
  inputs(kind: WaveInputs["kind"], release: ReleaseTarget, region: RegionTarget): WaveInputs {
    return {
      kind,
      environment,
      wave: "general",
      waves: [{ name: "general", selector: { rest: true } }],
      regions: [region],
      release,
      back: release === r1 ? r2 : r1,
      releaseRoles: [r1.role, r2.role],
      deadlineSeconds: 300,
      concurrency: 2,
    };
  }

  /** What the registry believes of a tenant. */
  async known(tenant: string): Promise<{ pin: string; position: string | null; steps: string[] }> {
    const found = await this.admin.query<{ pin: string; position: string | null; steps: string[] }>(
      `SELECT pin, (SELECT position FROM registry.tenant_state AS s WHERE s.tenant = $1) AS position,
         ARRAY(SELECT step || ' ' || status FROM registry.wave_step ORDER BY step DESC) AS steps
       FROM registry.route WHERE tenant = $1`,
      [tenant],
    );
    return found.rows[0] as { pin: string; position: string | null; steps: string[] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.admin.end().catch(() => {});
    await dropDatabase(registryDatabase);
  }
}
