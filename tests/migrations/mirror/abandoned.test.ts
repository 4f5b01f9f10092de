import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { cutoverTenant, finalizeTenant, prepareTenant } from "../../../migrations/mirror/engine.ts";
import type { TenantJob, TenantResult } from "../../../migrations/mirror/job.ts";
import { runTenants } from "../../../migrations/mirror/pool.ts";
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

const mirror = "prompt-encryption";

describe("a copy that was begun and is not wanted any more", function () {
  this.timeout(120_000);
  let tenant: TestTenant;
  beforeEach(async () => {
    tenant = await createTenant();
    await seedPrompts(tenant, 1500);
  });
  afterEach(async () => {
    delete process.env["RC_FAULT_POINT"];
    await tenant.close();
  });

  /** Its worker is killed after the first chunk. */
  async function interrupt(job: TenantJob): Promise<void> {
    process.env["RC_FAULT_POINT"] = "chunk.commit.after";
    const [result] = await runTenants("prepare", [job], { concurrency: 1 });
    delete process.env["RC_FAULT_POINT"];
    assert.equal(result?.status, "failed");
    const begun = await tenant.admin.query("SELECT phase FROM rc.mirror");
    assert.deepEqual(begun.rows, [{ phase: "load" }]);
  }

  /** The session of a killed worker may hold the tenant for a moment. */
  async function run(
    wish: (job: TenantJob) => Promise<TenantResult>,
    ...args: Parameters<TestTenant["job"]>
  ): Promise<void> {
    let result = await wish(tenant.job(...args));
    while (result.reason?.includes("is busy") === true) {
      await sleep(100);
      result = await wish(tenant.job(...args));
    }
    assert.deepEqual([result.status, result.reason], ["done", undefined]);
  }

  /** Triggers of capture, tables of captured changes, ranges, and rows on the side that was being filled. */
  async function remains(filled: string): Promise<unknown> {
    const found = await tenant.admin.query(
      `SELECT (SELECT count(*)::int FROM pg_trigger WHERE tgname LIKE 'zz\\_rc\\_%capture' OR tgname = 'zz_rc_refuse_truncate') AS triggers,
         (SELECT count(*)::int FROM pg_class WHERE starts_with(relname, 'dirty_') AND relkind = 'r') AS dirty,
         (SELECT count(*)::int FROM rc.range) AS ranges, (SELECT count(*)::int FROM public.${filled}) AS rows,
         position, phase FROM rc.mirror`,
    );
    return found.rows[0];
  }

  it("leaves no capture behind when the pin goes back, and the next promotion begins anew", async () => {
    await interrupt(tenant.job(r2));
    await run(prepareTenant, r1);
    assert.deepEqual(await remains("prompt_bodies_sealed"), {
      triggers: 0,
      dirty: 0,
      ranges: 0,
      rows: 0,
      position: "off",
      phase: null,
    });
    await run(cutoverTenant, r1);
    await tenant.admin.query("UPDATE public.prompt_bodies SET body = body || ' later'");
    const before = await readBodies(tenant, "off");
    for (const wish of [prepareTenant, cutoverTenant]) await run(wish, r2);
    assert.deepEqual(await openBodies(tenant), before);
  });

  it("leaves no clear text behind when a rebuild is given up", async () => {
    for (const wish of [prepareTenant, cutoverTenant]) await run(wish, r2);
    await run(finalizeTenant, r2, { mirrors: [mirror] });
    await contract(tenant);
    await undoContract(tenant);
    const before = await openBodies(tenant);
    await interrupt(tenant.job(r1));
    await run(prepareTenant, r2);
    assert.deepEqual(await remains("prompt_bodies"), {
      triggers: 0,
      dirty: 0,
      ranges: 0,
      rows: 0,
      position: "retired",
      phase: null,
    });
    for (const wish of [prepareTenant, cutoverTenant]) await run(wish, r1);
    assert.deepEqual(await readBodies(tenant, "mirroring"), before);
  });
});
