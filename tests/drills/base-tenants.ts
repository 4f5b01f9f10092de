import { randomBytes } from "node:crypto";
import pg from "pg";
import { grantRelease } from "../../migrations/grants.ts";
import { ensureLedger } from "../../migrations/ledger/schema.ts";
import type { Position } from "../../migrations/ledger/position.ts";
import { setWhereabouts } from "../../migrations/ledger/whereabouts.ts";
import { tenantJobs } from "../../migrations/mirror/engine.ts";
import type { JobKind } from "../../migrations/mirror/job.ts";
import { allMirrors } from "../../migrations/mirrors.ts";
import { upgradeTo } from "../../migrations/schema/alembic.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { ensureMounted } from "../migrations/vault/test-vault.ts";
import { createDatabase, databaseUrl, dropDatabase, getPostgresUrl, getVault } from "../servers.ts";
import { drillJob, environment, mirror } from "./drill-tenant.ts";
import { clearBodies, type StoredBodies } from "./stored-bodies.ts";

/** Rows of each base tenant: more than the engine's first chunk, so that a copy has several. */
const prompts = 1_300;
const messages = 60;

const seedSql = `
INSERT INTO public.conversations (id, title) SELECT md5('c' || n)::uuid, 'conversation ' || n FROM generate_series(1, 5) AS n;
INSERT INTO public.prompts (id, title) SELECT md5('p' || n)::uuid, 'prompt ' || n FROM generate_series(1, ${prompts}) AS n;
INSERT INTO public.prompt_bodies SELECT md5('p' || n)::uuid, 'base prompt ' || n || repeat(' lorem ipsum', n % 40)
  FROM generate_series(1, ${prompts}) AS n;
INSERT INTO public.messages (id, conversation_id, role) SELECT md5('m' || n)::uuid, md5('c' || n % 5 + 1)::uuid, 'user'
  FROM generate_series(1, ${messages}) AS n;
INSERT INTO public.message_bodies SELECT md5('m' || n)::uuid, 'base message ' || n FROM generate_series(1, ${messages}) AS n;
`;

/**
 * One tenant in each of the four positions, made once: by Alembic, then by the engine of this tree. Each case works on a
 * copy of one (`CREATE DATABASE .. TEMPLATE`), so it starts in a tenth of a second and disturbs no other.
 */
export class BaseTenants {
  readonly tenant = `drl-${randomBytes(4).toString("hex")}`;
  /** What is in each of them. */
  bodies: StoredBodies = { digests: new Map(), closed: new Map() };
  readonly #databases: string[] = [];

  static async make(): Promise<BaseTenants> {
    const made = new BaseTenants();
    process.env["DRL_POSTGRES_URL"] = getPostgresUrl();
    process.env["DRL_VAULT_ADDR"] = getVault().address;
    process.env["DRL_VAULT_TOKEN"] = getVault().token;
    await ensureMounted(`mounts/transit-${environment}`, { type: "transit" });
    try {
      await made.#first();
      await made.#next("off", "mirroring", "prepare");
      await made.#next("mirroring", "switched", "cutover");
      await made.#next("switched", "retired", "finalize");
      return made;
    } catch (error) {
      await made.drop();
      throw error;
    }
  }

  databaseOf(position: Position): string {
    return `${this.tenant.replaceAll("-", "_")}_base_${position}`;
  }

  async drop(): Promise<void> {
    for (const database of this.#databases) await dropDatabase(database);
  }

  async #first(): Promise<void> {
    const database = this.databaseOf("off");
    this.#databases.push(database);
    const url = await createDatabase(database);
    const [schema] = await upgradeTo([{ database, url }], "0002");
    if (schema?.status !== "done") throw new Error(`Alembic did not make ${database}: ${schema?.reason}`);
    await withAdmin(url, async (admin) => {
      await admin.query(`SET ROLE rc_migrator; ${seedSql}`);
      await ensureLedger(admin);
      await setWhereabouts(admin, { tenant: this.tenant, release: r1.id, pin: r1.pin });
      const roles = [r1.role, r2.role];
      await grantRelease(admin, { release: r1, allReleaseRoles: roles, positions: {}, mirrors: allMirrors() });
    });
    this.bodies = await clearBodies({ url, environment, tenant: this.tenant });
  }

  async #next(from: Position, to: Position, kind: JobKind): Promise<void> {
    const database = this.databaseOf(to);
    this.#databases.push(database);
    await cloneDatabase(this.databaseOf(from), database);
    const result = await tenantJobs[kind](drillJob(this.tenant, database, r2, { mirrors: [mirror] }));
    if (result.status !== "done")
      throw new Error(`base tenant ${to}: ${kind} ended ${result.status}: ${result.reason}`);
    if (to !== "retired") return;
    await withAdmin(databaseUrl(database), (admin) =>
      admin.query("DROP TABLE public.prompt_bodies, public.message_bodies"),
    );
  }
}

/** A copy of a database that nobody is connected to. */
export async function cloneDatabase(from: string, to: string): Promise<void> {
  await withAdmin(getPostgresUrl(), async (admin) => {
    for (let nth = 1; ; nth += 1) {
      try {
        await admin.query(
          `CREATE DATABASE ${pg.escapeIdentifier(to)} OWNER rc_migrator TEMPLATE ${pg.escapeIdentifier(from)}`,
        );
        return;
      } catch (error) {
        // 55006: a session that has just ended still counts for a moment, or autovacuum is there.
        if ((error as { code?: string }).code !== "55006" || nth >= 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  });
}

async function withAdmin<T>(url: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.end();
  }
}
