import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { setFlags, setMaintenance } from "../../migrations/control.ts";
import type { ControlTarget } from "../../migrations/control.ts";
import { routeChannel } from "../../migrations/registry/registry-schema.ts";
import { Registry } from "../../migrations/registry/registry.ts";
import { databaseUrl, dropDatabase } from "../servers.ts";
import { openFixture, r1 } from "./onboarding-fixture.ts";
import type { OnboardingFixture } from "./onboarding-fixture.ts";

describe("control", function () {
  this.timeout(120_000);
  let fixture: OnboardingFixture;
  let registry: Registry;
  let all: ControlTarget;
  const ids = ["onb-ctl-a", "onb-ctl-b", "onb-ctl-c"];
  const waves = [
    { name: "canary", selector: { ids: ["onb-ctl-a"] } },
    { name: "general", selector: { rest: true as const } },
  ];

  before(async () => {
    fixture = await openFixture("control");
    registry = new Registry(fixture.registryUrl);
    all = { region: fixture.region, registryUrl: fixture.registryUrl };
    await fixture.onboard(r1, ids);
    for (const id of ids)
      await fixture.query(id, ["INSERT INTO rc.mirror (mirror, position) VALUES ('prompt-encryption', 'mirroring')"]);
  });
  after(async () => {
    await registry.close();
    await fixture.close();
  });

  const flagsOf = async () => {
    const found: Record<string, unknown> = {};
    for (const id of ids) [found[id]] = await fixture.query(id, ["SELECT cancel, pause FROM rc.mirror"]);
    return found;
  };

  it("sets and clears flags of one wave, suspended tenants included, and leaves the other flag alone", async () => {
    await setMaintenance({ ...all, tenants: ["onb-ctl-b"] }, true);
    const target = { ...all, wave: { waves, name: "general" } };
    const set = await setFlags(target, { pause: true });
    assert.deepEqual(
      set.sort((a, b) => a.tenant.localeCompare(b.tenant)),
      [
        { tenant: "onb-ctl-b", status: "done" },
        { tenant: "onb-ctl-c", status: "done" },
      ],
    );
    await setFlags({ ...all, tenants: ["onb-ctl-c"] }, { cancel: true });
    assert.deepEqual(await flagsOf(), {
      "onb-ctl-a": { cancel: false, pause: false },
      "onb-ctl-b": { cancel: false, pause: true },
      "onb-ctl-c": { cancel: true, pause: true },
    });
    await setFlags(all, { pause: false });
    assert.deepEqual((await flagsOf())["onb-ctl-c"], { cancel: true, pause: false });
    await setMaintenance(all, false);
  });

  it("waits for a chunk that is being written", async () => {
    const chunk = new pg.Client({ connectionString: databaseUrl("tenant_onb_ctl_a") });
    await chunk.connect();
    await chunk.query("BEGIN; SELECT FROM rc.mirror FOR SHARE");
    const flagged = setFlags({ ...all, tenants: ["onb-ctl-a"] }, { cancel: true });
    // Longer than one wait for a lock, so that the repetition is seen too.
    await sleep(1300);
    assert.deepEqual((await flagsOf())["onb-ctl-a"], { cancel: false, pause: false });
    await chunk.query("COMMIT");
    await chunk.end();
    assert.deepEqual(await flagged, [{ tenant: "onb-ctl-a", status: "done" }]);
    assert.deepEqual((await flagsOf())["onb-ctl-a"], { cancel: true, pause: false });
  });

  it("lets no failure of one tenant stop another, and tells where no mirror was ever begun", async () => {
    await fixture.onboard(r1, ["onb-ctl-gone", "onb-ctl-idle"]);
    await dropDatabase("tenant_onb_ctl_gone");
    const results = await setFlags(
      { ...all, tenants: ["onb-ctl-gone", "onb-ctl-idle", "onb-ctl-c"] },
      { cancel: false },
    );
    assert.deepEqual(
      results.map(({ tenant, status }) => [tenant, status]),
      [
        ["onb-ctl-c", "done"],
        ["onb-ctl-gone", "failed"],
        ["onb-ctl-idle", "absent"],
      ],
    );
    assert.match(results[1]?.reason ?? "", /^tenant onb-ctl-gone: .*does not exist/);
  });

  it("takes tenants out of service and back, tells the gateway, and keeps route and wave", async () => {
    const listener = new pg.Client({ connectionString: fixture.registryUrl });
    await listener.connect();
    await listener.query(`LISTEN ${routeChannel}`);
    const told = once(listener, "notification", { signal: AbortSignal.timeout(10_000) }) as Promise<[pg.Notification]>;
    assert.deepEqual(await setMaintenance({ ...all, tenants: ["onb-ctl-a"] }, true), ["onb-ctl-a"]);
    assert.deepEqual(await setMaintenance({ ...all, tenants: ["onb-ctl-a"] }, true), []);
    const { tenant, status } = JSON.parse((await told)[0].payload ?? "{}") as { tenant: string; status: string };
    assert.deepEqual([tenant, status], ["onb-ctl-a", "suspended"]);
    await listener.end();
    const [row] = (await registry.projection.overview()).filter(({ id }) => id === "onb-ctl-a");
    assert.deepEqual([row?.status, row?.release], ["suspended", "r1"]);
    assert.equal((await fixture.onboard(r1, ["onb-ctl-a"]))[0]?.status, "unchanged");
    assert.deepEqual(await setMaintenance({ ...all, wave: { waves, name: "canary" } }, false), ["onb-ctl-a"]);
  });

  it("names tenants and waves that are unknown, and tenants that are not finished", async () => {
    await assert.rejects(
      setFlags({ ...all, tenants: ["onb-none"] }, { cancel: true }),
      /onb-none: not in region local/,
    );
    const wave = { waves, name: "early" };
    await assert.rejects(
      setFlags({ ...all, wave }, { cancel: true }),
      /wave early is unknown; allowed: canary, general/,
    );
    await registry.tenants.setStatus("active", "onboarding", { ids: ["onb-ctl-c"] });
    await assert.rejects(setMaintenance({ ...all, tenants: ["onb-ctl-c"] }, true), /onb-ctl-c: still being onboarded/);
    assert.ok(!(await setMaintenance(all, true)).includes("onb-ctl-c"));
  });
});
