import assert from "node:assert/strict";
import pg from "pg";
import { cutoverNode } from "../../../migrations/nodes/cutover-node.ts";
import { stepsOf } from "../../../migrations/nodes/lockstep.ts";
import { prepareNode } from "../../../migrations/nodes/prepare-node.ts";
import { waveRefusals } from "../../../migrations/nodes/wave-refusals.ts";
import { ensureRegistry } from "../../../migrations/registry/registry-schema.ts";
import { Registry } from "../../../migrations/registry/registry.ts";
import { tenantDatabase } from "../../../migrations/registry/tenant-id.ts";
import type { RegionTarget, WaveInputs } from "../../../migrations/wave-inputs.ts";
import { RegionServer } from "../../region-server.ts";
import { databaseUrl } from "../../servers.ts";
import { r1, r2 } from "../onboarding-fixture.ts";
import { openWave, type WaveFixture } from "./wave-fixture.ts";

/** Two regions, each with a PostgreSQL server and a registry of its own. */
describe("a wave over two regions", function () {
  this.timeout(240_000);
  let eu: WaveFixture;
  let us: RegionServer;
  let registryUs: Registry;
  let usTarget: RegionTarget;
  const usTenants = ["us-one", "us-two", "us-three"];
  const euTenants = ["eu-one", "eu-two"];

  const inputs = (release: typeof r1 | typeof r2, kind: WaveInputs["kind"], changes: Partial<WaveInputs> = {}) =>
    eu.inputs(release, { kind, regions: [eu.onboarding.region, usTarget], ...changes });
  const pins = async () => {
    const rows = [...(await eu.registry.routes.list()), ...(await registryUs.routes.list())];
    return Object.fromEntries(rows.map(({ tenant, pin }) => [tenant, pin]).sort());
  };
  /** By the tenants' own databases. */
  const ledgers = async () => {
    const found: Record<string, string> = {};
    const read = "SELECT w.pin, m.position FROM rc.whereabouts AS w LEFT JOIN rc.mirror AS m ON true";
    type Row = { pin: string; position: string | null };
    for (const id of euTenants) {
      const [row] = (await eu.onboarding.query(id, [read])) as Row[];
      found[id] = `${row?.pin} ${row?.position}`;
    }
    for (const id of usTenants) {
      const [row] = await us.query<Row>(tenantDatabase(id), read);
      found[id] = `${row?.pin} ${row?.position}`;
    }
    return found;
  };
  /** The cutover's error while a tenant of us has a transaction open that lets nobody lock its tables. */
  const failWith = async (tenant: string): Promise<string> => {
    const writer = new pg.Client({ connectionString: databaseUrl(tenantDatabase(tenant), us.url) });
    await writer.connect();
    await writer.query("BEGIN; LOCK TABLE prompt_bodies IN ROW EXCLUSIVE MODE");
    try {
      return await cutoverNode.run(inputs(r2, "cutover")).then(
        () => assert.fail("it did not fail"),
        (error: Error) => error.message,
      );
    } finally {
      await writer.end();
    }
  };
  const all = (state: string) => Object.fromEntries([...euTenants, ...usTenants].map((id) => [id, state]));

  beforeEach(async () => {
    eu = await openWave();
    us = await RegionServer.start();
    const url = databaseUrl("rc_registry", us.url);
    await ensureRegistry(url, ["platform_r1", "platform_r2"]);
    registryUs = new Registry(url);
    process.env["ONB_US_POSTGRES_URL"] = us.url;
    usTarget = { ...eu.onboarding.region, name: "us", postgresUrl: "env:ONB_US_POSTGRES_URL" };
    await eu.seed(euTenants);
    const made = await eu.onboarding.onboard(r1, usTenants, { registryUrl: url, region: usTarget });
    for (const { status, reason } of made) assert.equal(status, "done", reason);
  });
  afterEach(async () => {
    await registryUs.close();
    await us.end();
    await eu.close();
  });

  it("begins with one tenant of every region, and goes on with the others when all of them have ended well", async () => {
    const member = (id: string, region: RegionTarget) => ({ tenant: { id }, region }) as never;
    const [a, b] = [eu.onboarding.region, usTarget];
    const steps = stepsOf([member("e1", a), member("e2", a), member("u1", b), member("e3", a)]);
    const ids = steps.map((step) => step.map(({ tenant }) => tenant.id));
    assert.deepEqual(ids, [
      ["e1", "u1"],
      ["e2", "e3"],
    ]);
    assert.equal((await prepareNode.run(inputs(r2, "prepare"))).status, "done");
    const moved = await cutoverNode.run(inputs(r2, "cutover"));
    assert.equal(moved.status, "done", moved.summary);
    assert.match(moved.summary, /5 of 5 tenants/);
    assert.deepEqual(await ledgers(), all(`${r2.pin} switched`));
    assert.deepEqual(new Set(Object.values(await pins())), new Set([r2.pin]));
  });

  it("takes both regions back when a tenant of one fails, holds the release, and says where each region stands", async () => {
    await prepareNode.run(inputs(r2, "prepare"));
    const failure = await failWith("us-two");
    assert.match(failure, /1 of 5 tenants failed in us, so every region goes back/);
    assert.match(failure, /us-two \(us\): /);
    assert.match(failure, /region local: 2 tenants were taken back, all 2 are where they were/);
    assert.match(failure, /region us: \d tenants were taken back, all 3 are where they were/);
    assert.deepEqual(await ledgers(), all(`${r1.pin} mirroring`));
    assert.deepEqual(new Set(Object.values(await pins())), new Set([r1.pin]));
    const holds = await eu.registry.holds.against("onb", r2.hash, "general");
    assert.equal(holds.length, 1);
    const refusals = await waveRefusals(inputs(r2, "cutover"));
    assert.match(refusals[0]?.reason ?? "", /held since .*its cutover failed in us, every region was taken back/);
    // The other release of the wave is what runs, and may.
    assert.deepEqual(await waveRefusals(inputs(r1, "cutover")), []);
    await eu.registry.holds.release("onb");
    // A region's first tenant: nobody begins with the second step anywhere.
    assert.match(await failWith("us-one"), /region local: 1 tenants were taken back, all 2 are where they were/);
    await eu.registry.holds.release("onb");
    assert.equal((await cutoverNode.run(inputs(r2, "cutover"))).status, "done");
    assert.deepEqual(await ledgers(), all(`${r2.pin} switched`));
  });

  it("begins in no region while one of them does not answer", async () => {
    await prepareNode.run(inputs(r2, "prepare"));
    await us.stop();
    await assert.rejects(cutoverNode.run(inputs(r2, "cutover")), /ECONNREFUSED/);
    await us.restart();
    assert.deepEqual(await ledgers(), all(`${r1.pin} mirroring`));
    assert.deepEqual(await eu.registry.holds.inForce("onb"), []);
  });

  it("takes the other region back when one is lost midway, names it as behind, and moves it in the next update", async () => {
    await prepareNode.run(inputs(r2, "prepare"));
    let isLost = false;
    // The second region ends as soon as its first tenant has moved.
    const listener = new pg.Client({ connectionString: databaseUrl("rc_registry", us.url) });
    listener.on("error", () => undefined);
    await listener.connect();
    await listener.query("LISTEN rc_route");
    const lost = new Promise<void>((done) =>
      listener.on("notification", () => {
        if (isLost) return;
        isLost = true;
        void us.stop().then(done);
      }),
    );
    const failure = await cutoverNode.run(inputs(r2, "cutover", { concurrency: 1 })).then(
      () => assert.fail("it did not fail"),
      (error: Error) => error.message,
    );
    await lost;
    await listener.end().catch(() => undefined);
    assert.match(failure, /failed in us, so every region goes back/);
    assert.match(failure, /region local: \d tenants were taken back, all 2 are where they were/);
    assert.match(failure, /region us is behind, the next update moves it first/);
    assert.equal((await eu.registry.holds.against("onb", r2.hash, "general")).length, 1);
    await us.restart();
    const before = await ledgers();
    for (const id of euTenants) assert.equal(before[id], `${r1.pin} mirroring`);
    assert.ok(usTenants.some((id) => before[id] === `${r2.pin} switched`));
    assert.equal(await cutoverNode.isUnfinished?.(inputs(r1, "cutover")), true);
    assert.equal((await prepareNode.run(inputs(r1, "prepare"))).status, "done");
    assert.equal((await cutoverNode.run(inputs(r1, "cutover"))).status, "done");
    assert.deepEqual(await ledgers(), all(`${r1.pin} mirroring`));
    assert.deepEqual(new Set(Object.values(await pins())), new Set([r1.pin]));
  });
});
