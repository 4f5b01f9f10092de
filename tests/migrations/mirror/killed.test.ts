import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { tenantJobs } from "../../../migrations/mirror/engine.ts";
import { type FaultPoint, faultPoints } from "../../../migrations/mirror/fault-point.ts";
import type { JobKind, TenantResult } from "../../../migrations/mirror/job.ts";
import { runTenants } from "../../../migrations/mirror/pool.ts";
import type { ReleaseTarget } from "../../../migrations/wave-inputs.ts";
import { Client } from "./client.ts";
import { mirror, positionOf } from "./nodes.ts";
import {
  contract,
  createTenant,
  openBodies,
  r1,
  r2,
  readBodies,
  seedPrompts,
  type TestTenant,
  undoContract,
} from "./tenant-fixture.ts";

/** Points on the way to a keyset. */
const firstTimeOnly = /^key\./;

describe("a worker that is killed", function () {
  this.timeout(300_000);
  let tenant: TestTenant;
  beforeEach(async () => {
    tenant = await createTenant();
  });
  afterEach(async () => {
    delete process.env["RC_FAULT_POINT"];
    await tenant.close();
  });

  async function work(kind: JobKind, release: ReleaseTarget, onWorker?: (pid: number) => void): Promise<TenantResult> {
    const job = tenant.job(release, kind === "finalize" ? { mirrors: [mirror] } : {});
    const [result] = await runTenants(kind, [job], { concurrency: 1, onWorker: (_, pid) => onWorker?.(pid) });
    return result as TenantResult;
  }

  /** A killed worker's sessions end a moment after it: until then its lock is held. */
  async function resume(kind: JobKind, release: ReleaseTarget): Promise<TenantResult> {
    for (;;) {
      const result = await tenantJobs[kind](tenant.job(release, { mirrors: [mirror] }));
      if (result.reason?.includes("is busy") !== true) return result;
      await sleep(50);
    }
  }

  it("at any named point goes on where it was, forwards and backwards", async () => {
    await seedPrompts(tenant, 600);
    const user = await Client.connect(tenant);
    for (const [id, body] of await readBodies(tenant, "off")) user.acknowledged.set(id, body);
    for (const point of faultPoints) {
      for (const release of [r2, r1]) {
        // Keysets are made once, on the way to the first copy; the keyset is the tenant's for good.
        if (firstTimeOnly.test(point)) continue;
        const [id] = user.acknowledged.keys() as Iterable<string>;
        await user.update(id as string, `before ${point} to ${release.id}`);
        if (release === r1) await undoContract(tenant);
        for (const kind of ["prepare", "cutover", "finalize"] as const) {
          if (kind === kindThatReaches(point)) {
            process.env["RC_FAULT_POINT"] = point;
            const killed = await work(kind, release);
            delete process.env["RC_FAULT_POINT"];
            assert.match(killed.reason ?? `${point} was not reached`, /SIGKILL/);
            await user.insert(`after ${kind} was killed at ${point} to ${release.id}`);
          }
          const resumed = await resume(kind, release);
          assert.deepEqual([point, kind, resumed.status, resumed.reason], [point, kind, "done", undefined]);
        }
        assert.equal(await positionOf(tenant), release === r2 ? "retired" : "off");
        if (release === r2) await contract(tenant);
        const rows = await (release === r2 ? openBodies(tenant) : readBodies(tenant, "off"));
        assert.deepEqual(new Map([...rows].sort()), new Map([...user.acknowledged].sort()));
      }
    }
  });

  for (const point of faultPoints.filter((name) => firstTimeOnly.test(name))) {
    it(`at ${point} makes no second KEK and no second keyset in the next run`, async () => {
      await seedPrompts(tenant, 20);
      process.env["RC_FAULT_POINT"] = point;
      assert.match((await work("prepare", r2)).reason ?? `${point} was not reached`, /SIGKILL/);
      delete process.env["RC_FAULT_POINT"];
      const resumed = await resume("prepare", r2);
      assert.deepEqual([resumed.status, resumed.reason], ["done", undefined]);
      const keysets = await tenant.admin.query("SELECT class, version FROM rc.keyset ORDER BY 1, 2");
      assert.deepEqual(keysets.rows, [
        { class: "prompt", version: 1 },
        { class: "verify", version: 1 },
      ]);
      assert.deepEqual(await openBodies(tenant), await readBodies(tenant, "off"));
    });
  }

  it("at random moments of a copy loses nothing, and its ranges tile the key space", async () => {
    await seedPrompts(tenant, 8000, 500);
    const before = await readBodies(tenant, "off");
    // Each row takes half a millisecond at least, so a copy outlives the longest patience on any machine.
    await tenant.admin.query(
      `CREATE FUNCTION public.slowly() RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT pg_sleep(0.0005) IS NOT NULL';
       GRANT EXECUTE ON FUNCTION public.slowly() TO PUBLIC;
       ALTER TABLE prompt_bodies_sealed ADD CONSTRAINT slowly CHECK (public.slowly())`,
    );
    let kills = 0;
    let result: TenantResult | undefined;
    for (let nth = 0; result?.status !== "done" && nth < 60; nth += 1) {
      const patienceMs = nth < 8 ? 250 + Math.random() * 600 : 60_000;
      result = await work("prepare", r2, (pid) => {
        void sleep(patienceMs, undefined, { ref: false }).then(() => {
          try {
            process.kill(pid, "SIGKILL");
          } catch {
            return; // it has ended
          }
        });
      });
      if (result.reason?.includes("SIGKILL") === true) kills += 1;
    }
    assert.deepEqual([result?.status, result?.reason], ["done", undefined]);
    assert.ok(kills > 0, "no worker was killed");
    assert.deepEqual(await openBodies(tenant), before);
    const tiles = await tenant.admin.query(
      `SELECT pair, bool_and(lower IS NOT DISTINCT FROM before) AS joined, count(*) FILTER (WHERE upper IS NULL)::int AS ends
       FROM (SELECT *, lag(upper) OVER (PARTITION BY pair ORDER BY ordinal) AS before FROM rc.range) AS r
       GROUP BY pair ORDER BY pair`,
    );
    assert.deepEqual(tiles.rows, [
      { pair: "message_bodies", joined: true, ends: 1 },
      { pair: "prompt_bodies", joined: true, ends: 1 },
    ]);
  });
});

function kindThatReaches(point: FaultPoint): JobKind {
  if (point.startsWith("cutover.")) return "cutover";
  return point.startsWith("retire.") ? "finalize" : "prepare";
}
