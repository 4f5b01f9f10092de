import assert from "node:assert/strict";
import { once } from "node:events";
import pg from "pg";
import { ensureRegistry, routeChannel } from "../../../migrations/registry/registry-schema.ts";
import { Registry } from "../../../migrations/registry/registry.ts";
import { createDatabase, databaseUrl, dropDatabase, roleUrl } from "../../servers.ts";

const database = "onb_registry_test";
const roles = ["platform_r1", "platform_r2"];
const r1 = { release: "r1", pin: "r1@aaaaaaaaaaaa" };
const r2 = { release: "r2", pin: "r2@bbbbbbbbbbbb" };

describe("registry", function () {
  this.timeout(60_000);
  let url = "";
  let registry: Registry;

  const tenant = (id: string, tags: string[] = [], isProbe = false) => ({
    id,
    region: id.endsWith("-eu") ? "eu" : "local",
    tags,
    isProbe,
    database: `tenant_${id.replaceAll("-", "_")}`,
    bornRelease: "r1",
  });

  before(async () => {
    url = await createDatabase(database);
    await ensureRegistry(url, roles);
    registry = new Registry(url);
  });
  beforeEach(async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(
      "TRUNCATE registry.tenant, registry.route, registry.tenant_state, registry.hold, registry.verification, registry.promotion_record, registry.wave_step, registry.rescinded, registry.observation",
    );
    await client.end();
  });
  after(async () => {
    await registry.close();
    await dropDatabase(database);
  });

  it("is made once by many at once, and again without a change", async () => {
    const fresh = await createDatabase("onb_registry_fresh");
    try {
      await Promise.all(Array.from({ length: 6 }, () => ensureRegistry(fresh, roles)));
      await ensureRegistry(fresh, roles);
      const empty = new Registry(fresh);
      assert.deepEqual(await empty.tenants.list(), []);
      await empty.close();
    } finally {
      await dropDatabase("onb_registry_fresh");
    }
  });

  it("does not wait for readers and writers when nothing has to change", async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query("BEGIN; LOCK TABLE registry.route, registry.tenant IN ROW EXCLUSIVE MODE");
    await ensureRegistry(url, roles);
    await client.query("ROLLBACK");
    await client.end();
  });

  it("lets a release role read tenants and routes, and nothing else", async () => {
    const client = new pg.Client({ connectionString: roleUrl("platform_r1", url) });
    await client.connect();
    await client.query("SELECT * FROM registry.tenant, registry.route");
    for (const table of ["hold", "tenant_state", "promotion_record", "rescinded"])
      await assert.rejects(client.query(`SELECT * FROM registry.${table}`), { code: "42501" });
    await assert.rejects(client.query("UPDATE registry.route SET release = 'r2'"), { code: "42501" });
    await client.end();
  });

  it("refuses to write when opened for reading", async () => {
    const reader = new Registry(url, { isReadOnly: true });
    assert.deepEqual(await reader.projection.overview(), []);
    await assert.rejects(reader.tenants.register([tenant("onb-a")]), /read-only|permission denied/);
    await reader.close();
  });

  it("names the mend when the registry has not been made", async () => {
    const absent = new Registry(databaseUrl("onb_registry_absent"));
    await assert.rejects(absent.tenants.list(), /onb_registry_absent.*pulumi up/);
    await absent.close();
    const empty = new Registry(databaseUrl("postgres"));
    await assert.rejects(empty.tenants.list(), /registry\.tenant.*pulumi up/);
    await empty.close();
  });

  it("registers tenants once and moves them from status to status", async () => {
    const rows = [tenant("onb-a", ["canary"]), tenant("onb-b-eu"), tenant("onb-p", [], true)];
    assert.deepEqual((await registry.tenants.register(rows)).sort(), ["onb-a", "onb-b-eu", "onb-p"]);
    assert.deepEqual(await registry.tenants.register([tenant("onb-a", ["other"])]), []);
    const [first] = await registry.tenants.list({ ids: ["onb-a"] });
    assert.deepEqual([first?.tags, first?.status, first?.isProbe], [["canary"], "onboarding", false]);
    assert.deepEqual(await registry.tenants.setStatus("onboarding", "active", { region: "eu" }), ["onb-b-eu"]);
    assert.deepEqual(await registry.tenants.setStatus("active", "suspended", { ids: ["onb-a"] }), []);
    assert.equal((await registry.tenants.list({ statuses: ["active"] })).length, 1);
    assert.equal(await registry.tenants.find("onb-none"), undefined);
    await assert.rejects(registry.tenants.get("onb-none"), /onb-none is not in the registry/);
  });

  it("points a whole wave at a release in one step and tells the gateway of those that moved", async () => {
    await registry.tenants.register(["onb-a", "onb-b", "onb-c"].map((id) => tenant(id)));
    await registry.routes.point(["onb-a", "onb-b", "onb-c"], r1);
    await registry.routes.point(["onb-c"], r2);
    const listener = new pg.Client({ connectionString: url });
    await listener.connect();
    const told: { tenant: string; release?: string; status?: string }[] = [];
    listener.on("notification", ({ payload }) => told.push(JSON.parse(payload ?? "{}") as (typeof told)[number]));
    await listener.query(`LISTEN ${routeChannel}`);
    assert.deepEqual(await registry.routes.point(["onb-a", "onb-b", "onb-c", "onb-a"], r2), ["onb-a", "onb-b"]);
    const [before] = await registry.routes.list(["onb-a"]);
    assert.deepEqual(await registry.routes.point(["onb-a"], r2), []);
    assert.deepEqual((await registry.routes.list(["onb-a"]))[0], before);
    await registry.tenants.setStatus("onboarding", "suspended", { ids: ["onb-b"] });
    while (told.length < 3) await once(listener, "notification", { signal: AbortSignal.timeout(10_000) });
    assert.deepEqual(
      told.map(({ tenant: id, release, status }) => [id, release ?? status]),
      [
        ["onb-a", "r2"],
        ["onb-b", "r2"],
        ["onb-b", "suspended"],
      ],
    );
    await listener.end();
  });

  it("keeps one hold however often it is placed, and lets others through", async () => {
    const hold = { environment: "prod", hashes: ["b", "a"], who: "ana", why: "error rate" };
    const placed = await Promise.all(Array.from({ length: 5 }, () => registry.holds.place(hold)));
    assert.equal(new Set(placed.map(({ id }) => id)).size, 1);
    assert.deepEqual((await registry.holds.against("prod", "a", "canary")).length, 1);
    assert.deepEqual(await registry.holds.against("prod", "c"), []);
    assert.deepEqual(await registry.holds.against("staging", "a"), []);
    await registry.holds.place({ ...hold, wave: "canary", hashes: [] });
    assert.equal((await registry.holds.against("prod", "c", "canary")).length, 1);
    assert.deepEqual(await registry.holds.against("prod", "c", "general"), []);
    assert.equal((await registry.holds.release("prod", { wave: "canary" })).length, 1);
    const [ended] = await registry.holds.release("prod");
    assert.ok(ended?.releasedAt instanceof Date);
    assert.deepEqual(await registry.holds.inForce("prod"), []);
    const again = await registry.holds.place(hold);
    assert.notEqual(again.id, placed[0]?.id);
  });

  it("never lets an older report overwrite a newer one", async () => {
    await registry.tenants.register([tenant("onb-a")]);
    const state = { tenant: "onb-a", mirror: "m", position: "mirroring" as const, rows: 5, bytes: 6, dirty: 1 };
    const at = (second: number) => new Date(1_800_000_000_000 + second * 1000);
    assert.equal(await registry.projection.record([{ ...state, epoch: 3n, asOf: at(5), rateRowsPerS: 10 }]), 1);
    assert.equal(await registry.projection.record([{ ...state, epoch: 2, asOf: at(9), rows: 0 }]), 0);
    assert.equal(await registry.projection.record([{ ...state, epoch: 3, asOf: at(4), rows: 0 }]), 0);
    assert.equal(
      await registry.projection.record([
        { ...state, epoch: 4, position: "switched", asOf: at(2), rows: 7 },
        { ...state, epoch: 3, asOf: at(8), rows: 0 },
      ]),
      1,
    );
    assert.deepEqual(await registry.projection.list(["onb-a"]), [
      { ...state, epoch: 4, position: "switched", rows: 7, asOf: at(2), rateRowsPerS: 10 },
    ]);
    const [overview] = await registry.projection.overview();
    assert.deepEqual(overview?.states, await registry.projection.list());
    assert.equal(overview?.release, undefined);
  });

  it("keeps records in order", async () => {
    const move = { environment: "prod", toPin: r2.pin, who: "ana", reviewed: false, detail: { minutes: 3 } };
    await registry.records.addPromotion({ ...move, kind: "promotion" });
    await registry.records.addPromotion({ ...move, kind: "rollback", fromPin: r2.pin, toPin: r1.pin });
    const [last, first] = await registry.records.listPromotions("prod");
    assert.deepEqual([last?.kind, last?.fromPin, first?.fromPin], ["rollback", r2.pin, undefined]);
    assert.equal((await registry.records.listPromotions("prod", 1)).length, 1);
    for (const run of [1, 2])
      await registry.records.addVerification({ environment: "dev", release: "r2", hash: "b", evidence: { run } });
    assert.deepEqual((await registry.records.findVerification("dev", "b"))?.evidence, { run: 2 });
    assert.equal((await registry.records.listVerifications("dev")).length, 2);
    assert.equal(await registry.records.findVerification("prod", "b"), undefined);
    await registry.records.rescind({ hash: "b", who: "ana", why: "leak" });
    await registry.records.rescind({ hash: "b", who: "bob", why: "again" });
    assert.equal((await registry.records.findRescinded("b"))?.who, "ana");
  });

  it("soaks from the first time it is asked, through restarts, and anew after it was forgotten", async () => {
    const key = { environment: "prod", wave: "canary", pin: r2.pin, step: "cutover" as const };
    const first = new Date("2030-01-01T00:00:00Z");
    const later = new Date("2030-01-02T00:00:00Z");
    await registry.waveSteps.record({ ...key, status: "running" });
    assert.deepEqual(await registry.waveSteps.waitUntil(key, first), first);
    assert.deepEqual(await registry.waveSteps.waitUntil(key, later), first);
    await registry.waveSteps.record({ ...key, status: "done" });
    const [step] = await registry.waveSteps.list("prod", r2.pin);
    assert.deepEqual([step?.status, step?.waitingUntil], ["done", first]);
    await registry.waveSteps.forget("prod", r2.pin);
    assert.deepEqual(await registry.waveSteps.waitUntil(key, later), later);
  });

  it("writes all of a transaction or nothing", async () => {
    const half = registry.transaction(async ({ tenants, routes }) => {
      await tenants.register([tenant("onb-a")]);
      await routes.point(["onb-unknown"], r1);
    });
    await assert.rejects(half, /foreign key/);
    assert.deepEqual(await registry.tenants.list(), []);
  });
});
