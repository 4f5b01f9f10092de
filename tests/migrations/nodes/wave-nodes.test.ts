import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { setFlags, setMaintenance } from "../../../migrations/control.ts";
import { cutoverNode } from "../../../migrations/nodes/cutover-node.ts";
import { finalizeNode } from "../../../migrations/nodes/finalize-node.ts";
import { prepareNode } from "../../../migrations/nodes/prepare-node.ts";
import { Update } from "../../../migrations/nodes/update.ts";
import { waveRefusals } from "../../../migrations/nodes/wave-refusals.ts";
import { databaseUrl, getPostgresUrl } from "../../servers.ts";
import { r1, r2 } from "../onboarding-fixture.ts";
import { openWave, shut, type WaveFixture } from "./wave-fixture.ts";

describe("nodes of a wave", function () {
  this.timeout(180_000);
  let wave: WaveFixture;
  beforeEach(async () => {
    wave = await openWave();
  });
  afterEach(async () => {
    delete process.env["RC_FAULT_POINT"];
    await wave.close();
  });

  const forward = async () => {
    const inputs = wave.inputs(r2);
    assert.equal((await prepareNode.run(inputs)).status, "done");
    assert.equal((await cutoverNode.run(inputs)).status, "done");
  };
  const positionOf = async (tenant: string) => {
    const [row] = (await wave.onboarding.query(tenant, ["SELECT position FROM rc.mirror"])) as { position: string }[];
    return row?.position;
  };
  const server = async (statements: readonly string[]) => {
    const client = new pg.Client({ connectionString: getPostgresUrl() });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  };

  it("points the route where the database went, also when the worker died right after the flip", async () => {
    await wave.seed(["acme"]);
    const inputs = wave.inputs(r2);
    await prepareNode.run(inputs);
    process.env["RC_FAULT_POINT"] = "cutover.unlock.after";
    await assert.rejects(cutoverNode.run(inputs), /acme: its worker process ended/);
    assert.equal(await positionOf("acme"), "switched");
    // Otherwise the gateway would lead users to the fenced release until somebody runs the next update.
    assert.deepEqual(await wave.routes(), { acme: r2.pin });
  });

  it("takes everybody back who can go when one tenant cannot be reached, and names that one", async () => {
    await wave.seed(["acme", "broken"]);
    await forward();
    const inputs = wave.inputs(r1);
    await server(shut("broken", true));
    try {
      assert.deepEqual(await waveRefusals(inputs), []);
      const prepared = await prepareNode.run(inputs);
      assert.equal(prepared.status, "partial");
      assert.match(prepared.summary, /broken: /);
      const moved = await cutoverNode.run(inputs);
      assert.equal(moved.status, "partial");
      assert.match(moved.summary, /broken: /);
      assert.deepEqual(await wave.routes(), { acme: r1.pin, broken: r2.pin });
    } finally {
      await server(shut("broken", false));
    }
    assert.equal((await prepareNode.run(inputs)).status, "done");
    assert.equal((await cutoverNode.run(inputs)).status, "done");
    assert.deepEqual(await wave.routes(), { acme: r1.pin, broken: r1.pin });
  });

  it("takes nobody forward when one tenant cannot be prepared, but prepares the others", async () => {
    await wave.seed(["acme", "broken"]);
    await wave.onboarding.query("broken", [
      "ALTER TABLE prompts RENAME TO prompts_away",
      "CREATE TABLE prompt_bodies_sealed ()",
    ]);
    await assert.rejects(prepareNode.run(wave.inputs(r2)), /1 of 2 tenants failed[^]*broken: /);
    assert.equal(await positionOf("acme"), "mirroring");
    assert.equal((await cutoverNode.run(wave.inputs(r2))).status, "partial");
    assert.deepEqual(await wave.routes(), { acme: r1.pin, broken: r1.pin });
  });

  it("leaves as many tenants behind as the failure budget covers, moves the others, and takes those along when they can", async () => {
    await wave.seed(["acme", "borealis", "broken"], 5);
    const failureBudget = { maxFailedPercent: 34 };
    await server(shut("broken", true));
    try {
      // Two of three may not fail, nor may one when no number is allowed.
      await assert.rejects(
        prepareNode.run(wave.inputs(r2, { failureBudget: { maxFailedPercent: 33 } })),
        /1 of 3 tenants/,
      );
      const none = { failureBudget: { ...failureBudget, maxFailures: 0 } };
      await assert.rejects(prepareNode.run(wave.inputs(r2, none)), /1 of 3 tenants failed/);
      const prepared = await prepareNode.run(wave.inputs(r2, { failureBudget }));
      assert.equal(prepared.status, "partial");
      assert.match(prepared.summary, /2 of 3 tenants.*1 failed: broken: /);
      assert.equal((await cutoverNode.run(wave.inputs(r2))).status, "partial");
      assert.deepEqual(new Set(Object.values(await wave.routes())), new Set([r1.pin]));
      const moved = await cutoverNode.run(wave.inputs(r2, { failureBudget }));
      assert.equal(moved.status, "partial");
      assert.deepEqual(await wave.routes(), { acme: r2.pin, borealis: r2.pin, broken: r1.pin });
    } finally {
      await server(shut("broken", false));
    }
    assert.equal((await prepareNode.run(wave.inputs(r2, { failureBudget }))).status, "done");
    assert.equal((await cutoverNode.run(wave.inputs(r2, { failureBudget }))).status, "done");
    assert.deepEqual(await wave.routes(), { acme: r2.pin, borealis: r2.pin, broken: r2.pin });
  });

  it("reads the ledgers, not the registry's copy of them, before it decides what a rollback needs", async () => {
    await wave.seed(["acme"]);
    await forward();
    const named = wave.inputs(r2, { kind: "finalize", mirrors: ["prompt-encryption"] });
    assert.equal((await finalizeNode.run(named)).status, "done");
    assert.equal(await positionOf("acme"), "retired");
    const registry = new pg.Client({ connectionString: databaseUrl("rc_registry") });
    await registry.connect();
    await registry.query("UPDATE registry.tenant_state SET position = 'switched'");
    await registry.end();
    const inputs = wave.inputs(r1);
    assert.equal((await prepareNode.run(inputs)).status, "done");
    assert.equal((await cutoverNode.run(inputs)).status, "done");
    assert.equal((await wave.onboarding.query("acme", ["SELECT FROM prompt_bodies"])).length, 20);
  });

  it("goes back without Vault where nothing waits, and leaves the others where they are", async () => {
    await wave.seed(["behind", "equal"]);
    await forward();
    await wave.onboarding.query("behind", ["DELETE FROM prompts WHERE title = 'p1'"]);
    process.env["ONB_AWAY_ADDR"] = "http://127.0.0.1:9";
    const regions = [{ ...wave.onboarding.region, vaultAddress: "env:ONB_AWAY_ADDR" }];
    const inputs = wave.inputs(r1, { regions });
    assert.deepEqual(await waveRefusals(inputs), []);
    const prepared = await prepareNode.run(inputs);
    assert.equal(prepared.status, "partial");
    assert.match(prepared.summary, /behind: .*Vault/);
    const moved = await cutoverNode.run(inputs);
    assert.equal(moved.status, "partial");
    assert.deepEqual(await wave.routes(), { behind: r2.pin, equal: r1.pin });
    assert.equal(await positionOf("behind"), "switched");
  });

  it("starts no further tenant once one was cancelled, and flips nobody afterwards", async () => {
    await wave.seed(["one", "three", "two"]);
    const inputs = wave.inputs(r2, { concurrency: 1 });
    assert.equal((await prepareNode.run(inputs)).status, "done");
    const target = { region: wave.onboarding.region, tenants: ["one"] };
    // A pause outlives the takeover of the next run: the first tenant waits until the cancel flag ends it.
    await wave.onboarding.query("one", ["UPDATE rc.mirror SET pause = true, position = 'off', phase = 'verify'"]);
    const held = await wave.onboarding.query("one", ["SELECT epoch FROM rc.mirror"]);
    const update = new Update();
    const running = prepareNode.run(inputs, undefined, update);
    for (;;) {
      const [now] = await wave.onboarding.query("one", ["SELECT epoch FROM rc.mirror"]);
      if (JSON.stringify(now) !== JSON.stringify(held[0])) break;
      await sleep(50);
    }
    const epochs = async () => JSON.stringify(await wave.onboarding.query("two", ["SELECT epoch FROM rc.mirror"]));
    const before = await epochs();
    await setFlags(target, { cancel: true });
    const ended = await running;
    assert.equal(ended.status, "partial");
    assert.equal(await epochs(), before);
    const moved = await cutoverNode.run(inputs, undefined, update);
    assert.equal(moved.status, "partial");
    assert.deepEqual([...new Set(Object.values(await wave.routes()))], [r1.pin]);
  });

  it("heeds a cancel flag that was set during the update before the tenant's turn came, and clears an older one", async () => {
    await wave.seed(["canary", "later"]);
    const inputs = wave.inputs(r2);
    assert.equal((await prepareNode.run(inputs)).status, "done");
    const update = new Update();
    const target = { region: wave.onboarding.region, tenants: ["later"] };
    await setFlags(target, { cancel: true });
    const only = (wanted: string) =>
      wave.inputs(r2, {
        wave: wanted,
        waves: ["canary", "later"].map((name) => ({ name, selector: { ids: [name] } })),
      });
    // The first wave has nobody who was asked to stop; the second one's turn comes in the same update.
    assert.equal((await cutoverNode.run(only("canary"), undefined, update)).status, "done");
    const stopped = await cutoverNode.run(only("later"), undefined, update);
    assert.equal(stopped.status, "partial");
    assert.deepEqual(await wave.routes(), { canary: r2.pin, later: r1.pin });
    assert.match((await prepareNode.run(only("canary"), undefined, update)).summary, /the update was cancelled/);
    assert.equal((await cutoverNode.run(only("later"))).status, "done");
    assert.deepEqual(await wave.routes(), { canary: r2.pin, later: r2.pin });
  });

  it("counts the time that earlier nodes of the update took, and begins no tenant after its deadline", async () => {
    await wave.seed(["acme"]);
    const inputs = wave.inputs(r2, { deadlineSeconds: 60 });
    const ended = await prepareNode.run(inputs, undefined, new Update(Date.now() - 60_000));
    assert.equal(ended.status, "partial");
    assert.notEqual(await positionOf("acme"), "mirroring");
    assert.equal((await prepareNode.run(inputs, undefined, new Update(Date.now() - 20_000))).status, "done");
  });

  it("shows in its row how far finalize is, and waits with it for a paused tenant until the deadline", async () => {
    await wave.seed(["acme"]);
    await forward();
    const named = wave.inputs(r2, { kind: "finalize", mirrors: ["prompt-encryption"] });
    const target = { region: wave.onboarding.region, tenants: ["acme"] };
    await setFlags(target, { pause: true });
    const paused = await finalizeNode.run({ ...named, deadlineSeconds: 5 });
    assert.equal(paused.status, "partial");
    assert.equal(await positionOf("acme"), "switched");
    await setFlags(target, { pause: false });
    const lines: string[] = [];
    assert.equal((await finalizeNode.run(named, (line) => lines.push(line))).status, "done");
    assert.match(lines.join("\n"), /acme: done; 1 of 1 tenants ended/);
    assert.match(lines.join("\n"), /schema of 1 databases to the contract revision 0003/);
  });

  it("refuses to close the way back while a suspended tenant still runs the older release", async () => {
    await wave.seed(["acme", "asleep"]);
    await setMaintenance({ region: wave.onboarding.region, tenants: ["asleep"] }, true);
    await forward();
    assert.deepEqual(await waveRefusals(wave.inputs(r2)), []);
    const { back: _back, ...closed } = wave.inputs(r2);
    const refusals = await waveRefusals(closed);
    assert.equal(refusals.length, 1);
    assert.match(refusals[0]?.reason ?? "", /asleep.*suspended/);
  });

  it("drops the clear text of those that are retired although another tenant failed, and knows when it was killed before", async () => {
    await wave.seed(["acme", "broken"]);
    await forward();
    const named = wave.inputs(r2, { kind: "finalize", mirrors: ["prompt-encryption"] });
    await server(shut("broken", true));
    try {
      await assert.rejects(finalizeNode.run(named), /1 of 2 tenants failed[^]*broken: /);
    } finally {
      await server(shut("broken", false));
    }
    const left = () => wave.onboarding.query("acme", ["SELECT FROM pg_class WHERE relname = 'prompt_bodies'"]);
    assert.deepEqual(await left(), []);
    assert.equal((await finalizeNode.run(named)).status, "done");
    assert.equal(await finalizeNode.isUnfinished?.(named), false);
    // What a run leaves behind that was killed after the mirrors were retired, before Alembic dropped the tables.
    const step = { environment: "onb", wave: "general", pin: r2.pin, step: "finalize" } as const;
    await wave.registry.waveSteps.record({ ...step, status: "running" });
    assert.equal(await finalizeNode.isUnfinished?.(named), true);
  });
});
