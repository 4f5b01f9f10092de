import { createHash } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CollectionSpec } from "../../../migrations/milvus/collection.ts";
import type { MirrorDefinition } from "../../../migrations/mirror/definition.ts";
import type { tenantJobs } from "../../../migrations/mirror/engine.ts";
import type { JobKind, TenantJob, TenantResult } from "../../../migrations/mirror/job.ts";
import { vectorStore } from "../../../migrations/vector-store.ts";
import type { ReleaseTarget } from "../../../migrations/wave-inputs.ts";
import { createTenant, type TestTenant } from "../../migrations/mirror/tenant-fixture.ts";
import {
  chunkTables,
  dimension,
  onMilvus,
  onPgvector,
  sourceTable,
  type Vectors,
  vectorText,
} from "../../migrations/vector-store/vector-fixture.ts";
import type { TestMilvus } from "../../servers.ts";
import type { SeededRandom } from "../../workload/seeded-random.ts";
import { EngineProcess, type Fault, type FaultPlace } from "../engine-process.ts";
import { StockMilvus } from "./stock-milvus.ts";

/** What a case begins with. */
export interface VectorTenantArgs {
  readonly milvus: TestMilvus;
  /** Engine under test. */
  readonly migrationsFolder: string;
  readonly random: SeededRandom;
  /** Collection of this case alone. @default the one that all cases share */
  readonly isAlone?: boolean;
  readonly spec?: Partial<CollectionSpec>;
  /** SQL of the source's table. */
  readonly source?: string;
  /** Chunks with vectors, more than the engine's first two chunks of rows. @default 700 */
  readonly rows?: number;
}

const sharedSpec: CollectionSpec = { name: "drill_vectors", dimension, metric: "COSINE", index: { type: "FLAT" } };

/** Name of the mirror that this drill moves. */
export const vectorMirror = vectorStore.name;

/** A tenant with vectors, what its users were told, and the engine that moves it; vectors are written without the engine. */
export class VectorTenant implements AsyncDisposable {
  readonly spec: CollectionSpec;
  readonly stock: StockMilvus;
  /** Every acknowledged vector by chunk. */
  readonly expected: Vectors = new Map();
  /** Where the engine finds Milvus, and as whom it comes; a case puts its proxy here. */
  readonly access: { address: string; user: string; password: string };
  readonly #tenant: TestTenant;
  readonly #definition: MirrorDefinition;
  readonly #args: VectorTenantArgs;
  readonly #runs: EngineProcess[] = [];

  private constructor(args: VectorTenantArgs, spec: CollectionSpec, tenant: TestTenant, stock: StockMilvus) {
    this.#args = args;
    this.spec = spec;
    this.#tenant = tenant;
    this.#definition = { ...vectorStore, collection: spec };
    this.stock = stock;
    this.access = { address: args.milvus.address, user: "root", password: args.milvus.password };
  }

  static async open(args: VectorTenantArgs): Promise<VectorTenant> {
    const { milvus, random, isAlone = false, source, rows = 700 } = args;
    const own = isAlone ? { name: `drill_${random.below(2 ** 32).toString(16)}` } : {};
    const spec = { ...sharedSpec, ...own, ...args.spec };
    const tenant = await createTenant(chunkTables(source), [{ ...vectorStore, collection: spec }]);
    const stock = await StockMilvus.open(milvus, spec.name, tenant.tenant);
    const opened = new VectorTenant(args, spec, tenant, stock);
    if (rows > 0 && source === undefined) await opened.write(opened.newIds(rows));
    return opened;
  }

  get id(): string {
    return this.#tenant.tenant;
  }

  get admin(): TestTenant["admin"] {
    return this.#tenant.admin;
  }

  newIds(count: number): string[] {
    return Array.from({ length: count }, () => {
      const hex = createHash("md5").update(String(this.#args.random.next())).digest("hex");
      return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
    });
  }

  /** Ids that have a vector, in a seeded order. */
  some(count: number): string[] {
    const ids = [...this.expected.keys()];
    return Array.from({ length: Math.min(count, ids.length) }, () =>
      ids.splice(this.#args.random.below(ids.length), 1),
    ).flat();
  }

  /** No short decimals; among them -0, a denormal and one near the largest. */
  newVector(): Buffer {
    const numbers = Array.from({ length: this.spec.dimension }, () => (this.#args.random.next() - 0.5) * 7);
    return Buffer.from(Float32Array.of(-0, 1e-42, 3e18, ...numbers.slice(3)).buffer);
  }

  /** As the services of the release that the tenant is on: whoever has the authority. */
  async write(ids: readonly string[]): Promise<void> {
    await ((await this.isOnMilvus()) ? this.#writeMilvus(ids) : this.#writePgvector(ids));
  }

  async erase(ids: readonly string[]): Promise<void> {
    await this.#asServices("DELETE FROM public.chunks WHERE id = ANY($1)", [ids]);
    if (await this.isOnMilvus()) await this.stock.delete(ids);
    for (const id of ids) this.expected.delete(id);
  }

  /** Changes some vectors, adds some and deletes some. */
  async change(): Promise<void> {
    await this.write([...this.some(20), ...this.newIds(10)]);
    await this.erase(this.some(7));
  }

  async isOnMilvus(): Promise<boolean> {
    const found = await this.admin.query<{ release: string }>("SELECT release FROM rc.whereabouts");
    return found.rows[0]?.release === onMilvus.id;
  }

  job(release: ReleaseTarget, changes?: Partial<TenantJob>): TenantJob {
    Object.assign(process.env, {
      VEC_MILVUS_ADDR: this.access.address,
      VEC_MILVUS_USER: this.access.user,
      VEC_MILVUS_PASSWORD: this.access.password,
    });
    const job = this.#tenant.job(release, { back: release.id === "r1" ? onMilvus : onPgvector, ...changes });
    const milvus = {
      milvusAddress: "env:VEC_MILVUS_ADDR",
      milvusUser: "env:VEC_MILVUS_USER",
      milvusPassword: "env:VEC_MILVUS_PASSWORD",
    };
    return { ...job, mirrors: [vectorMirror], region: { ...job.region, ...milvus } };
  }

  start(kind: JobKind, release: ReleaseTarget, fault?: Fault): EngineProcess {
    const run = new EngineProcess(this.#args.migrationsFolder, kind, this.job(release), fault);
    this.#runs.push(run);
    return run;
  }

  /** A run to its end, in this process: nothing happens to it. @throws {Error} it ended other than `done` */
  async move(kind: JobKind, release: ReleaseTarget): Promise<TenantResult> {
    const engine = (await import(join(this.#args.migrationsFolder, "mirror", "engine.ts"))) as {
      tenantJobs: typeof tenantJobs;
    };
    for (;;) {
      const result = await engine.tenantJobs[kind](this.job(release));
      if (result.status === "done") return result;
      // The session of one that was killed a moment ago.
      if (result.reason?.includes("is busy") !== true)
        throw new Error(`${kind} to ${release.id} ended ${result.status}: ${result.reason}`);
      await sleep(50);
    }
  }

  /** A run that has to stop and to say why. @throws {Error} it does not */
  async stop(kind: JobKind, release: ReleaseTarget, reason: RegExp): Promise<TenantResult> {
    const result = await this.start(kind, release).ended();
    if (result?.status !== "failed" || !reason.test(result.reason ?? ""))
      throw new Error(`${kind} to ${release.id} ended ${result?.status}, not failed by ${reason}: ${result?.reason}`);
    return result;
  }

  /** A run that is killed at a fault point. @throws {Error} it did not get there */
  async kill(kind: JobKind, release: ReleaseTarget, at: FaultPlace): Promise<void> {
    const result = await this.start(kind, release, { at }).ended();
    if (result !== undefined) throw new Error(`${kind} to ${release.id} did not reach ${at}: ${result.reason}`);
  }

  /** The server ends the sessions in which a sleeping run holds anything: its lock and its transactions. */
  async endSessions(): Promise<void> {
    await this.admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
       AND (application_name LIKE 'rc-mirror % control' OR application_name LIKE 'rc-mirror%' AND state LIKE 'idle in transaction%')`,
    );
  }

  async position(): Promise<string> {
    const found = await this.admin.query<{ position: string }>("SELECT position FROM rc.mirror WHERE mirror = $1", [
      vectorMirror,
    ]);
    return found.rows[0]?.position ?? "off";
  }

  /** Alembic's contract revision, and its downgrade. */
  async dropSource(): Promise<void> {
    await this.admin.query("DROP TABLE public.chunk_embeddings");
  }

  async restoreSource(): Promise<void> {
    await this.admin.query(
      `SET ROLE rc_migrator; SET search_path = public; ${sourceTable()}; RESET search_path; RESET ROLE`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#runs.map((run) => run.end()));
    // The shared collection stays, and with it the rows of earlier tenants: nobody's work may depend on being alone in it.
    if (this.#args.isAlone) await this.stock.dropCollection().catch(() => undefined);
    await this.stock.close().catch(() => undefined);
    await this.#tenant.close();
  }

  async #asServices(sql: string, values: unknown[]): Promise<{ rows: Record<string, unknown>[] }> {
    const client = await this.#tenant.as((await this.isOnMilvus()) ? "platform_r2" : "platform_r1");
    try {
      return await client.query(sql, values);
    } finally {
      await client.end();
    }
  }

  async #writePgvector(ids: readonly string[]): Promise<void> {
    const vectors = ids.map(() => this.newVector());
    await this.#asServices("INSERT INTO public.chunks (id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING", [ids]);
    await this.#asServices(
      `INSERT INTO public.chunk_embeddings SELECT * FROM unnest($1::uuid[], $2::public.vector[])
       ON CONFLICT (chunk_id) DO UPDATE SET embedding = EXCLUDED.embedding`,
      [ids, vectors.map(vectorText)],
    );
    ids.forEach((id, nth) => this.expected.set(id, vectors[nth] as Buffer));
  }

  /** R3's order: registered as pending, then Milvus, then ready. */
  async #writeMilvus(ids: readonly string[]): Promise<void> {
    await this.#asServices("INSERT INTO public.chunks (id) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING", [ids]);
    const registered = await this.#asServices(
      `INSERT INTO public.chunk_vectors AS present SELECT id, 1, 'pending' FROM unnest($1::uuid[]) AS id
       ON CONFLICT (chunk_id) DO UPDATE SET vector_version = present.vector_version + 1, state = 'pending'
       RETURNING chunk_id::text AS id, vector_version AS version`,
      [ids],
    );
    const rows = registered.rows.map(({ id, version }) => ({
      key: String(id),
      version: Number(version),
      floats: this.newVector(),
    }));
    await this.stock.write(rows);
    await this.#asServices("UPDATE public.chunk_vectors SET state = 'ready' WHERE chunk_id = ANY($1)", [ids]);
    for (const { key, floats } of rows) this.expected.set(key, floats);
  }
}
