import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { tenantJobs } from "../../../migrations/mirror/engine.ts";
import type { FaultPoint } from "../../../migrations/mirror/fault-point.ts";
import type { JobKind, TenantResult } from "../../../migrations/mirror/job.ts";
import { runTenants } from "../../../migrations/mirror/pool.ts";
import type { ReleaseTarget } from "../../../migrations/wave-inputs.ts";
import {
  complete,
  createVectorTenant,
  digestOf,
  erase,
  newIds,
  onMilvus,
  onPgvector,
  readSink,
  readSource,
  register,
  sourceTable,
  type Vectors,
  type VectorTenant,
  writeSource,
} from "./vector-fixture.ts";

/** Where Milvus and PostgreSQL can be of two minds: acknowledged there and not committed here, or the other way round. */
const points: readonly FaultPoint[] = [
  "capture.after",
  "chunk.copy.after",
  "chunk.commit.before",
  "chunk.commit.after",
  "drain.commit.before",
  "verify.before",
  "position.before",
  "cutover.flip",
  "cutover.unlock.after",
  "retire.after",
];

describe("a worker that is killed while it carries vectors", function () {
  this.timeout(600_000);
  let tenant: VectorTenant;
  const expected: Vectors = new Map();
  before(async () => {
    tenant = await createVectorTenant();
  });
  after(async () => {
    delete process.env["RC_FAULT_POINT"];
    await tenant.close();
  });

  async function killAt(point: FaultPoint, kind: JobKind, release: ReleaseTarget): Promise<void> {
    process.env["RC_FAULT_POINT"] = point;
    const [killed] = await runTenants(kind, [tenant.job(release, { mirrors: ["vector-store"] })], { concurrency: 1 });
    delete process.env["RC_FAULT_POINT"];
    assert.match(killed?.reason ?? `${point} was not reached`, /SIGKILL/);
  }

  async function resume(kind: JobKind, release: ReleaseTarget): Promise<TenantResult> {
    for (;;) {
      const result = await tenantJobs[kind](tenant.job(release, { mirrors: ["vector-store"] }));
      if (result.reason?.includes("is busy") !== true) return result;
      await sleep(50);
    }
  }

  /** Whoever holds the authority changes one vector, adds one and deletes one. */
  async function change(): Promise<void> {
    const found = await tenant.admin.query<{ release: string }>("SELECT release FROM rc.whereabouts");
    const [first, second] = [...expected.keys()] as [string, string];
    if (found.rows[0]?.release === "r2") {
      const client = await tenant.as("platform_r2");
      await complete(client, tenant.vectors, expected, await register(client, [first, ...newIds(1)]));
      await erase(client, tenant.vectors, expected, [second]);
    } else {
      const client = await tenant.as("platform_r1");
      await writeSource(client, expected, [first, ...newIds(1)]);
      await client.query("DELETE FROM chunks WHERE id = $1", [second]);
      expected.delete(second);
    }
  }

  for (const point of points) {
    it(`at ${point} goes on where it was, to Milvus and back`, async () => {
      if (expected.size === 0) await writeSource(tenant.admin, expected, newIds(700));
      for (const release of [onMilvus, onPgvector]) {
        if (release === onPgvector) {
          const there = await tenant.admin.query(
            "SELECT FROM pg_class WHERE oid = to_regclass('public.chunk_embeddings')",
          );
          if (there.rowCount === 0)
            await tenant.admin.query(
              `SET ROLE rc_migrator; SET search_path = public; ${sourceTable()}; RESET search_path; RESET ROLE`,
            );
        }
        for (const kind of ["prepare", "cutover", "finalize"] as const) {
          const reaching = point.startsWith("cutover.")
            ? "cutover"
            : point.startsWith("retire.")
              ? "finalize"
              : "prepare";
          if (kind === reaching) {
            await killAt(point, kind, release);
            await change();
          }
          const resumed = await resume(kind, release);
          assert.deepEqual([kind, resumed.status, resumed.reason], [kind, "done", undefined]);
          if (kind !== "finalize") await change();
        }
        if (release === onMilvus) await tenant.admin.query("DROP TABLE public.chunk_embeddings");
        const side = release === onMilvus ? await readSink(tenant) : await readSource(tenant);
        assert.equal(digestOf(side), digestOf(expected));
      }
      assert.equal(await tenant.vectors.count(), 0);
    });
  }
});
