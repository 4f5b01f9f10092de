import assert from "node:assert/strict";
import { runTenants } from "../../../migrations/mirror/pool.ts";
import { engineBoundaries } from "../../drills/engine-boundaries.ts";
import { PostgresProxy } from "../../drills/postgres-proxy.ts";
import { proxiedRegion } from "../../drills/proxied-region.ts";
import { getPostgresUrl } from "../../servers.ts";
import { positionOf } from "./nodes.ts";
import { createTenant, r2, seedPrompts, type TestTenant } from "./tenant-fixture.ts";

describe("a run whose time is over", function () {
  this.timeout(120_000);
  let tenant: TestTenant;
  beforeEach(async () => {
    tenant = await createTenant();
    await seedPrompts(tenant, 50);
  });
  afterEach(() => tenant.close());

  it("is ended when a network has swallowed its question, and the next run goes on", async () => {
    await using proxy = await PostgresProxy.start(getPostgresUrl());
    const swallowed = proxy.swallow(engineBoundaries.chunk);
    const job = tenant.job(r2, { region: proxiedRegion({ postgres: proxy }), deadlineMs: Date.now() + 5_000 });
    const [ended] = await runTenants("prepare", [job], { concurrency: 1, graceMs: 1_000 });
    await swallowed;
    assert.equal(ended?.status, "failed");
    assert.match(
      ended.reason ?? "",
      /time was over \d+ s ago and its PostgreSQL is at work for none of its sessions.*the next run goes on/,
    );
    const [next] = await runTenants("prepare", [tenant.job(r2)], { concurrency: 1 });
    assert.deepEqual([next?.status, next?.reason], ["done", undefined]);
    assert.equal(await positionOf(tenant), "mirroring");
  });

  it("is ended when its server does not answer about it either", async () => {
    await using proxy = await PostgresProxy.start(getPostgresUrl());
    const swallowed = proxy.swallow(engineBoundaries.chunk);
    const asked = [1, 2].map(() => proxy.swallow({ session: /^rc-watch /, statement: /pg_stat_activity/ }));
    const job = tenant.job(r2, { region: proxiedRegion({ postgres: proxy }), deadlineMs: Date.now() + 5_000 });
    const [ended] = await runTenants("prepare", [job], { concurrency: 1, graceMs: 1_000 });
    await Promise.all([swallowed, ...asked]);
    assert.match(ended?.reason ?? "", /time was over \d+ s ago and its PostgreSQL cannot be asked about it/);
  });

  it("is left alone while its server carries out a long statement", async () => {
    await tenant.admin.query(
      `CREATE FUNCTION public.slowly() RETURNS boolean LANGUAGE sql VOLATILE AS 'SELECT pg_sleep(0.3) IS NOT NULL';
       GRANT EXECUTE ON FUNCTION public.slowly() TO PUBLIC;
       ALTER TABLE prompt_bodies_sealed ADD CONSTRAINT slowly CHECK (public.slowly())`,
    );
    // All rows are one statement of 15 s; the server is asked at least twice meanwhile.
    const job = tenant.job(r2, { deadlineMs: Date.now() + 3_000 });
    const [ended] = await runTenants("prepare", [job], { concurrency: 1, graceMs: 3_000 });
    assert.deepEqual(ended?.status, "partial", ended?.reason);
    assert.match(ended?.reason ?? "", /the run's time is over; the next update goes on/);
    const { rows } = await tenant.admin.query("SELECT FROM prompt_bodies_sealed");
    assert.equal(rows.length, 50);
  });
});
