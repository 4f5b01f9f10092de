import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { Registry } from "../../migrations/registry/registry.ts";
import { tenantDatabase } from "../../migrations/registry/tenant-id.ts";
import { createDatabase, databaseUrl, dropDatabase, getPostgresUrl, releaseRoles } from "../servers.ts";
import { openFixture, r1, r2 } from "./onboarding-fixture.ts";
import type { OnboardingFixture } from "./onboarding-fixture.ts";

const as = (user: keyof typeof releaseRoles) => ({ user, password: releaseRoles[user] });
const insert = ["INSERT INTO prompts (id, title) VALUES ('00000000-0000-0000-0000-000000000001', 't')"];

describe("onboarding", function () {
  this.timeout(180_000);
  let fixture: OnboardingFixture;
  let registry: Registry;

  before(async () => {
    fixture = await openFixture("onboarding");
    registry = new Registry(fixture.registryUrl);
  });
  after(async () => {
    await registry.close();
    await fixture.close();
  });

  const overview = async (ids: readonly string[]) =>
    (await registry.projection.overview()).filter(({ id }) => ids.includes(id));

  it("makes eight tenants under r1 in one go, routed and served by r1 alone", async () => {
    const ids = Array.from({ length: 8 }, (_, index) => `onb-one-${index}`);
    const results = await fixture.onboard(r1, ids, {
      tenants: ids.map((id, index) => ({ id, tags: index === 0 ? ["canary"] : [], isProbe: index === 7 })),
    });
    assert.deepEqual(
      results,
      ids.map((tenant) => ({ tenant, status: "done" })),
    );
    const rows = await overview(ids);
    assert.deepEqual(
      rows.map(({ id, status, release, pin, bornRelease, states }) => [id, status, release, pin, bornRelease, states]),
      ids.map((id) => [id, "active", "r1", r1.pin, "r1", []]),
    );
    assert.deepEqual([rows[0]?.tags, rows[0]?.isProbe, rows[7]?.isProbe], [["canary"], false, true]);
    const [id = ""] = ids;
    await fixture.query(id, insert, as("platform_r1"));
    await assert.rejects(fixture.query(id, insert, as("platform_r2")), { code: "42501" });
    const seen = await fixture.query(id, ["SELECT tenant, release, pin FROM rc.whereabouts"], as("platform_r2"));
    assert.deepEqual(seen, [{ tenant: id, release: "r1", pin: r1.pin }]);
    const [{ version_num, oldest_on }] = (await fixture.query(id, [
      "SELECT version_num, oldest_on FROM alembic_version, rc.schema_target",
    ])) as [{ version_num: string; oldest_on: unknown }];
    assert.deepEqual([version_num, oldest_on], ["0001", r1.schema.oldestOn]);
  });

  it("gives a tenant born under r2 sealed tables only: retired, keyed to its parents, with keysets", async () => {
    const id = "onb-two";
    assert.deepEqual(await fixture.onboard(r2, [id]), [{ tenant: id, status: "done" }]);
    assert.deepEqual(
      (await overview([id]))[0]?.states.map(({ mirror, position }) => [mirror, position]),
      [["prompt-encryption", "retired"]],
    );
    const tables = await fixture.query(id, ["SELECT to_regclass('prompt_bodies') AS source, position FROM rc.mirror"]);
    assert.deepEqual(tables, [{ source: null, position: "retired" }]);
    const classes = await fixture.query(id, ["SELECT class, version FROM rc.keyset ORDER BY class"], as("platform_r2"));
    assert.deepEqual(classes, [
      { class: "prompt", version: 1 },
      { class: "verify", version: 1 },
    ]);
    const seal = "INSERT INTO prompt_bodies_sealed SELECT id, '\\x01' FROM prompts";
    await fixture.query(id, [...insert, seal], as("platform_r2"));
    const change = "UPDATE prompt_bodies_sealed SET prompt_id = gen_random_uuid()";
    await assert.rejects(fixture.query(id, [change], as("platform_r2")), /key of a sealed row changed/);
    const left = await fixture.query(
      id,
      ["DELETE FROM prompts", "SELECT FROM prompt_bodies_sealed"],
      as("platform_r2"),
    );
    assert.deepEqual(left, []);
    await assert.rejects(fixture.query(id, ["SELECT FROM prompts"], as("platform_r1")), { code: "42501" });
  });

  it("lets nobody but owner, reader and releases into a tenant's database", async () => {
    await fixture.onboard(r1, ["onb-closed"]);
    const admin = new pg.Client({ connectionString: getPostgresUrl() });
    await admin.connect();
    const stranger = { user: "onb_stranger", password: "stranger" };
    await admin.query("DROP ROLE IF EXISTS onb_stranger; CREATE ROLE onb_stranger LOGIN PASSWORD 'stranger'");
    try {
      await assert.rejects(fixture.query("onb-closed", ["SELECT 1"], stranger), /permission denied for database/);
      await fixture.query("onb-closed", ["SELECT count(*) FROM prompt_bodies"], as("rc_keeper"));
      const seen = await fixture.query("onb-closed", [
        "SET ROLE rc_reader",
        "SELECT count(*)::int AS n FROM prompt_bodies, rc.mirror",
      ]);
      assert.deepEqual(seen, [{ n: 0 }]);
    } finally {
      await admin.query("DROP ROLE onb_stranger");
      await admin.end();
    }
  });

  it("leaves tenants that exist as they are, even when asked under another release", async () => {
    const ids = ["onb-kept", "onb-new"];
    await fixture.onboard(r1, ["onb-kept"]);
    await fixture.query("onb-kept", insert, as("platform_r1"));
    const [before] = await overview(["onb-kept"]);
    const again = await fixture.onboard(r2, ids);
    assert.deepEqual(
      again.map(({ status }) => status),
      ["unchanged", "done"],
    );
    assert.deepEqual((await overview(["onb-kept"]))[0], before);
    await fixture.query("onb-kept", ["SELECT FROM prompt_bodies"], as("platform_r1"));
  });

  it("refuses ids that are not allowed, all at once and before anything is made", async () => {
    const wrong = ["onb-fine", "Acme Corp", 'x"; DROP DATABASE postgres; --', "onb-twice", "onb-twice"];
    await assert.rejects(fixture.onboard(r1, [], { tenants: wrong.map((id) => ({ id })) }), (error: Error) => {
      assert.match(error.message, /nothing was onboarded: .*"Acme Corp".*to acme-corp;.*DROP DATABASE.*"onb-twice"/);
      return true;
    });
    assert.equal(await registry.tenants.find("onb-fine"), undefined);
  });

  it("takes over no database that it did not make, and lets that stop nobody else", async () => {
    await createDatabase(tenantDatabase("onb-foreign"));
    try {
      const [foreign, fine] = await fixture.onboard(r1, ["onb-foreign", "onb-beside"]);
      assert.match(foreign?.reason ?? "", /tenant_onb_foreign exists but the registry does not know/);
      assert.equal(fine?.status, "done");
      assert.equal(await registry.tenants.find("onb-foreign"), undefined);
      const elsewhere = { ...fixture.region, name: "eu" };
      const [moved] = await fixture.onboard(r1, ["onb-beside"], { region: elsewhere });
      assert.match(moved?.reason ?? "", /is in region local, not in eu/);
    } finally {
      await dropDatabase(tenantDatabase("onb-foreign"));
    }
  });

  it("gives no route while Vault cannot be reached, and finishes when it can", async () => {
    process.env["ONB_NO_VAULT"] = "http://127.0.0.1:9";
    const lonely = { ...fixture.region, vaultAddress: "env:ONB_NO_VAULT" };
    const [failed] = await fixture.onboard(r2, ["onb-later"], { region: lonely });
    assert.equal(failed?.status, "failed");
    assert.match(failed?.reason ?? "", /^tenant onb-later: /);
    const [waiting] = await overview(["onb-later"]);
    assert.deepEqual([waiting?.status, waiting?.release], ["onboarding", undefined]);
    assert.deepEqual(await fixture.onboard(r2, ["onb-later"]), [{ tenant: "onb-later", status: "done" }]);
    assert.equal((await overview(["onb-later"]))[0]?.release, "r2");
  });

  it("refuses to start over when somebody has put rows into an unfinished tenant", async () => {
    await registry.tenants.register([
      { id: "onb-odd", region: "local", tags: [], database: "tenant_onb_odd", isProbe: false, bornRelease: "r1" },
    ]);
    await fixture.onboard(r1, ["onb-odd"]);
    await fixture.query("onb-odd", insert, as("platform_r1"));
    await registry.tenants.setStatus("active", "onboarding", { ids: ["onb-odd"] });
    const [result] = await fixture.onboard(r2, ["onb-odd"]);
    assert.equal(result?.status, "failed");
    assert.match(result?.reason ?? "", /prompts of tenant_onb_odd holds rows/);
    // Not even the ledger has changed.
    const left = await fixture.query("onb-odd", ["SELECT release FROM prompts, rc.whereabouts"]);
    assert.deepEqual(left, [{ release: "r1" }]);
  });

  it("makes each tenant once when two runs want the same ones", async () => {
    const ids = ["onb-both-1", "onb-both-2"];
    const results = (await Promise.all([fixture.onboard(r1, ids), fixture.onboard(r1, ids)])).flat();
    for (const { status, reason } of results)
      if (status === "failed") assert.match(reason ?? "", /another run is onboarding it/);
    assert.ok((await fixture.onboard(r1, ids)).every(({ status }) => status === "unchanged"));
    assert.ok(ids.every((id) => results.some(({ tenant, status }) => tenant === id && status === "done")));
  });

  // Moments in which a run has begun and has not ended, found by what it leaves behind.
  const moments: Record<string, (url: string) => Promise<boolean>> = {
    "a database": (url) => asks(url, "SELECT FROM pg_database WHERE datname = 'tenant_onb_killed_1'"),
    tables: (url) => inTenant(url, "SELECT FROM pg_class WHERE relname = 'prompts'"),
    "a ledger": (url) => inTenant(url, "SELECT FROM pg_namespace WHERE nspname = 'rc'"),
    whereabouts: (url) => inTenant(url, "SELECT FROM rc.whereabouts"),
  };
  for (const [left, first, second] of [
    ["a database", r1, r1],
    ["tables", r1, r2],
    ["a ledger", r2, r1],
    ["whereabouts", r2, r1],
    ["whereabouts", r1, r2],
  ] as const)
    it(`finishes under ${second.id} what was killed under ${first.id} when there was ${left}`, async () => {
      const ids = ["onb-killed-1", "onb-killed-2", "onb-killed-3"];
      const runner = spawn(
        process.execPath,
        [
          "--input-type=module",
          "-e",
          `const { onboardTenants } = await import(${JSON.stringify(join(import.meta.dirname, "../../migrations/onboarding.ts"))});
           await onboardTenants(JSON.parse(process.env.REQUEST));`,
        ],
        {
          env: {
            ...process.env,
            REQUEST: JSON.stringify({
              environment: "onb",
              region: fixture.region,
              release: first,
              tenants: ids.map((id) => ({ id })),
              registryUrl: fixture.registryUrl,
              concurrency: 1,
            }),
          },
          stdio: "ignore",
        },
      );
      const ended = once(runner, "exit");
      while (runner.exitCode === null && !(await moments[left]?.(getPostgresUrl()))) await sleep(5);
      runner.kill("SIGKILL");
      await ended;
      // The server needs a moment to notice; until then the tenants are still taken.
      let results = await fixture.onboard(second, ids);
      for (let left = 100; left > 0 && results.some(({ reason }) => reason?.includes("another run")); left--) {
        await sleep(100);
        results = await fixture.onboard(second, ids);
      }
      assert.deepEqual(
        results.filter(({ status }) => status === "failed"),
        [],
      );
      for (const { id, status, release, bornRelease } of await overview(ids)) {
        assert.equal(status, "active");
        assert.equal(release, bornRelease);
        const served = release === "r1" ? r1 : r2;
        const [row] = await fixture.query(id, ["SELECT version_num FROM alembic_version"]);
        assert.deepEqual(row, { version_num: served.schema.contractTo });
        const other = served === r1 ? "platform_r2" : "platform_r1";
        await fixture.query(id, [...insert, "DELETE FROM prompts"], as(served === r1 ? "platform_r1" : "platform_r2"));
        await assert.rejects(fixture.query(id, insert, as(other)), { code: "42501" });
        await dropDatabase(tenantDatabase(id));
      }
      const admin = new pg.Client({ connectionString: fixture.registryUrl });
      await admin.connect();
      await admin.query("DELETE FROM registry.tenant WHERE id = ANY ($1)", [ids]);
      await admin.end();
    });
});

async function asks(url: string, statement: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  try {
    await client.connect();
    return ((await client.query(statement)).rowCount ?? 0) > 0;
  } catch (error) {
    // The database or its tables are not there yet.
    if (["3D000", "42P01", "3F000", "57P03"].includes((error as { code?: string }).code ?? "")) return false;
    throw error;
  } finally {
    await client.end();
  }
}

const inTenant = (url: string, statement: string) => asks(databaseUrl("tenant_onb_killed_1", url), statement);
