import pg from "pg";
import type { Position } from "../../migrations/ledger/position.ts";
import type { JobKind, TenantJob, TenantResult } from "../../migrations/mirror/job.ts";
import { inTransaction } from "../../migrations/postgres/transaction.ts";
import { resolveReference } from "../../migrations/reference.ts";
import { associatedData } from "../../migrations/tink/associated-data.ts";
import { Keyring } from "../../migrations/vault/keyring.ts";
import { Transit } from "../../migrations/vault/transit.ts";
import type { ReleaseTarget } from "../../migrations/wave-inputs.ts";
import { r1, r2 } from "../migrations/mirror/tenant-fixture.ts";
import { databaseUrl, dropDatabase, roleUrl } from "../servers.ts";
import { EngineProcess, type Fault } from "./engine-process.ts";
import type { BodyKind } from "./operation-log.ts";
import { PoolProcess } from "./pool-process.ts";
import type { BodyPlace } from "./stored-bodies.ts";

/** Environment of all drills. */
export const environment = "drl";

/** The mirror that the drills move. */
export const mirror = "prompt-encryption";

/** A job with five minutes for a tenant of the drills. */
export function drillJob(
  tenant: string,
  database: string,
  release: ReleaseTarget,
  changes: Partial<TenantJob> = {},
): TenantJob {
  return {
    environment,
    tenant,
    database,
    region: {
      name: "local",
      postgresUrl: "env:DRL_POSTGRES_URL",
      vaultAddress: "env:DRL_VAULT_ADDR",
      vaultToken: "env:DRL_VAULT_TOKEN",
    },
    release,
    back: release === r1 ? r2 : r1,
    releaseRoles: [r1.role, r2.role],
    deadlineMs: Date.now() + 300_000,
    ...changes,
  };
}

/** A tenant of one case: its database, and the engine that is under test. */
export class DrillTenant {
  readonly tenant: string;
  readonly database: string;
  #admin: pg.Client;
  readonly #migrationsFolder: string;
  readonly #sessions: pg.Client[] = [];
  readonly #runs = new Set<EngineProcess | PoolProcess>();
  #keyring: Keyring | undefined;

  private constructor(tenant: string, database: string, migrationsFolder: string, admin: pg.Client) {
    this.tenant = tenant;
    this.database = database;
    this.#admin = admin;
    this.#migrationsFolder = migrationsFolder;
  }

  static async open(tenant: string, database: string, migrationsFolder: string): Promise<DrillTenant> {
    return new DrillTenant(tenant, database, migrationsFolder, await openAdmin(database));
  }

  /** Superuser session. */
  get admin(): pg.Client {
    return this.#admin;
  }

  /** A new superuser session, after the server was away. */
  async reopen(): Promise<void> {
    await this.#admin.end().catch(() => {});
    this.#admin = await openAdmin(this.database);
  }

  get place(): BodyPlace {
    return { url: databaseUrl(this.database), environment, tenant: this.tenant };
  }

  job(release: ReleaseTarget, changes?: Partial<TenantJob>): TenantJob {
    return drillJob(this.tenant, this.database, release, changes);
  }

  /** Starts a run of the engine; `finalize` takes the mirror to its end. */
  start(kind: JobKind, release: ReleaseTarget, fault?: Fault, changes?: Partial<TenantJob>): EngineProcess {
    const named = kind === "finalize" ? { mirrors: [mirror] } : {};
    const run = new EngineProcess(this.#migrationsFolder, kind, this.job(release, { ...named, ...changes }), fault);
    this.#runs.add(run);
    return run;
  }

  /** A run in the engine's pool, as an update makes it. @param workerHeapMib heap of the worker */
  startPool(kind: JobKind, release: ReleaseTarget, workerHeapMib?: number): PoolProcess {
    const named = kind === "finalize" ? { mirrors: [mirror] } : {};
    const run = new PoolProcess({
      migrationsFolder: this.#migrationsFolder,
      kind,
      job: this.job(release, named),
      ...(workerHeapMib === undefined ? {} : { workerHeapMib }),
    });
    this.#runs.add(run);
    return run;
  }

  /**
   * Acknowledged means written from here on, for sessions opened afterwards: the servers of the tests otherwise lose the
   * last moments in a crash, for speed.
   */
  async commitSteadily(): Promise<void> {
    await this.admin.query(`ALTER DATABASE ${pg.escapeIdentifier(this.database)} SET synchronous_commit = on`);
    // A sequence copied from a template believes its next values to be in the write-ahead log, until a checkpoint.
    await this.admin.query("CHECKPOINT");
    await this.reopen();
  }

  /** A run to its end. @throws {Error} it ended other than `done` */
  async move(kind: JobKind, release: ReleaseTarget): Promise<TenantResult> {
    const result = await this.start(kind, release).ended();
    if (result?.status !== "done") {
      throw new Error(
        `${kind} to ${release.id} ended ${result?.status ?? "without a report"}: ${result?.reason ?? ""}`,
      );
    }
    return result;
  }

  /** A run that is killed at a fault point. @throws {Error} it did not get there */
  async kill(kind: JobKind, release: ReleaseTarget, at: Fault["at"]): Promise<void> {
    const result = await this.start(kind, release, { at }).ended();
    if (result !== undefined)
      throw new Error(`${kind} to ${release.id} did not reach ${at}: ${result.reason ?? "done"}`);
  }

  async position(): Promise<Position> {
    const found = await this.admin.query<{ position: Position }>("SELECT position FROM rc.mirror WHERE mirror = $1", [
      mirror,
    ]);
    return found.rows[0]?.position ?? "off";
  }

  /** A session of a release's role, as its services have. */
  async as(role: "platform_r1" | "platform_r2"): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: roleUrl(role, databaseUrl(this.database)) });
    client.on("error", () => {});
    await client.connect();
    this.#sessions.push(client);
    return client;
  }

  /** The tenant's keys, as the services of R2 hold them: never those of the engine under test. */
  keyring(): Keyring {
    this.#keyring ??= new Keyring({
      client: { query: (text, values) => this.#admin.query(text, values) },
      tenant: this.tenant,
      transit: new Transit({
        address: resolveReference("env:DRL_VAULT_ADDR"),
        token: resolveReference("env:DRL_VAULT_TOKEN"),
        mount: `transit-${environment}`,
      }),
    });
    return this.#keyring;
  }

  /** Seals a body as R2's services do. */
  async seal(kind: BodyKind, id: string, body: string): Promise<Buffer> {
    const { aead } = await this.keyring().get("prompt");
    return aead.seal(Buffer.from(body), associatedData(environment, this.tenant, `${kind}.body`, id));
  }

  /** What Alembic's contract revision does; nothing unless the mirror is retired. */
  async contract(): Promise<void> {
    if ((await this.position()) !== "retired") return;
    // As Alembic's runner does: with users at work, a deadlock has to end us and not them.
    const drop = () => this.admin.query("DROP TABLE IF EXISTS public.prompt_bodies, public.message_bodies");
    await inTransaction(this.admin, drop, { tries: 60 });
  }

  /** What the downgrade of the contract revision does; nothing when it was not applied. */
  async undoContract(): Promise<void> {
    await this.admin.query(
      `SET ROLE rc_migrator;
       CREATE TABLE IF NOT EXISTS public.prompt_bodies (prompt_id uuid PRIMARY KEY, body text NOT NULL);
       CREATE TABLE IF NOT EXISTS public.message_bodies (message_id uuid PRIMARY KEY, body text NOT NULL);
       RESET ROLE`,
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.#runs].map((run) => run.end()));
    await Promise.all([this.#admin, ...this.#sessions].map((client) => client.end().catch(() => {})));
    await dropDatabase(this.database);
  }
}

async function openAdmin(database: string): Promise<pg.Client> {
  const admin = new pg.Client({ connectionString: databaseUrl(database) });
  admin.on("error", () => {}); // dropping the database at the end cuts it
  await admin.connect();
  return admin;
}
