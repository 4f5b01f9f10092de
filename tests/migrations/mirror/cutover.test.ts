import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { cutoverTenant, finalizeTenant, prepareTenant } from "../../../migrations/mirror/engine.ts";
import { runTenants } from "../../../migrations/mirror/pool.ts";
import {
  createTenant,
  openBodies,
  r1,
  r2,
  readBodies,
  sealBody,
  seedPrompts,
  type TestTenant,
} from "./tenant-fixture.ts";

describe("cutover", function () {
  this.timeout(120_000);
  let tenant: TestTenant;
  beforeEach(async () => {
    tenant = await createTenant();
  });
  afterEach(() => tenant.close());

  it("fences the release that was left, in a session that was open all the time, on every table", async () => {
    const [id] = (await seedPrompts(tenant, 3)) as [string];
    await prepareTenant(tenant.job(r2));
    const old = await tenant.as("platform_r1");
    await old.query("PREPARE body AS SELECT body FROM prompt_bodies WHERE prompt_id = $1");
    await old.query(`EXECUTE body('${id}')`);
    await cutoverTenant(tenant.job(r2));
    for (const statement of [
      `EXECUTE body('${id}')`,
      "SELECT body FROM prompt_bodies",
      "INSERT INTO prompts (title) VALUES ('late')",
      "UPDATE prompts SET title = 'late'",
      "DELETE FROM messages",
      "SELECT body FROM prompt_bodies_sealed",
      "SELECT encrypted FROM rc.keyset",
    ]) {
      await assert.rejects(old.query(statement), { code: "42501" }, statement);
    }
    assert.deepEqual((await old.query("SELECT tenant, release, pin FROM rc.whereabouts")).rows, [
      { tenant: tenant.tenant, release: "r2", pin: r2.pin },
    ]);
    const present = await tenant.as("platform_r2");
    await present.query("SELECT encrypted FROM rc.keyset");
    await assert.rejects(present.query("SELECT body FROM prompt_bodies"), { code: "42501" });
    await assert.rejects(present.query("SELECT * FROM alembic_version"), { code: "42501" });
    await assert.rejects(present.query("DELETE FROM rc.dirty_prompt_bodies"), { code: "42501" });
  });

  it("keeps a write of the old release that committed just before, and rolls back one that comes after", async () => {
    const [first, second] = (await seedPrompts(tenant, 2)) as [string, string];
    await prepareTenant(tenant.job(r2));
    const writer = await tenant.as("platform_r1");
    const late = await tenant.as("platform_r1");
    await writer.query("BEGIN");
    await writer.query("UPDATE prompt_bodies SET body = 'in time' WHERE prompt_id = $1", [first]);
    const cutting = cutoverTenant(tenant.job(r2));
    await sleep(400);
    await writer.query("COMMIT");
    const result = await cutting;
    assert.deepEqual([result.status, result.reason], ["done", undefined]);
    await late.query("BEGIN");
    await assert.rejects(late.query("UPDATE prompt_bodies SET body = 'late' WHERE prompt_id = $1", [second]), {
      code: "42501",
    });
    assert.equal((await openBodies(tenant)).get(first), "in time");
    assert.notEqual((await openBodies(tenant)).get(second), "late");
  });

  it("waits while it is paused, ends partial at its deadline, and goes on when the pause is over", async () => {
    await seedPrompts(tenant, 2);
    await prepareTenant(tenant.job(r2));
    await tenant.admin.query("UPDATE rc.mirror SET pause = true");
    const late = await cutoverTenant(tenant.job(r2, { deadlineMs: Date.now() + 3000 }));
    assert.deepEqual([late.status, late.positions["prompt-encryption"]], ["partial", "mirroring"]);
    const waiting = cutoverTenant(tenant.job(r2));
    await sleep(1500);
    await tenant.admin.query("UPDATE rc.mirror SET pause = false");
    assert.deepEqual(await waiting.then(({ status, reason }) => [status, reason]), ["done", undefined]);
  });

  it("ends at a cancel flag that was set while it waits for a gap, and moves nothing", async () => {
    const [id] = (await seedPrompts(tenant, 2)) as [string];
    await prepareTenant(tenant.job(r2));
    const writer = await tenant.as("platform_r1");
    await writer.query("BEGIN");
    await writer.query("UPDATE prompt_bodies SET body = 'long' WHERE prompt_id = $1", [id]);
    const running = cutoverTenant(tenant.job(r2));
    await sleep(1500);
    await tenant.admin.query("UPDATE rc.mirror SET cancel = true, cancelled_at = clock_timestamp()");
    const result = await running;
    assert.deepEqual(
      [result.status, result.isCancelled, result.positions["prompt-encryption"]],
      ["partial", true, "mirroring"],
    );
    await writer.query("COMMIT");
  });

  it("gives up after its tries, naming the session in the way, and moves nothing", async () => {
    const [id] = (await seedPrompts(tenant, 2)) as [string];
    await prepareTenant(tenant.job(r2));
    const writer = await tenant.as("platform_r1");
    const pid = (await writer.query("SELECT pg_backend_pid() AS pid")).rows[0].pid as number;
    await writer.query("BEGIN");
    await writer.query("UPDATE prompt_bodies SET body = 'long' WHERE prompt_id = $1", [id]);
    const result = await cutoverTenant(tenant.job(r2));
    assert.equal(result.status, "failed");
    assert.match(result.reason ?? "", new RegExp(`in the way: .*pid ${pid} `));
    assert.equal(result.positions["prompt-encryption"], "mirroring");
    await writer.query("COMMIT");
    assert.equal((await cutoverTenant(tenant.job(r2))).status, "done");
    assert.equal((await openBodies(tenant)).get(id), "long");
  });

  it("drains before it locks when more keys wait than it may bring over under the lock", async () => {
    await seedPrompts(tenant, 3000);
    await prepareTenant(tenant.job(r2));
    await tenant.admin.query("UPDATE public.prompt_bodies SET body = body || ' again'");
    const before = await readBodies(tenant, "off");
    const result = await cutoverTenant(tenant.job(r2));
    assert.deepEqual([result.status, result.dirty], ["done", 0]);
    assert.deepEqual(await openBodies(tenant), before);
    const entry = await tenant.admin.query("SELECT detail FROM rc.journal WHERE event = 'cutover'");
    assert.ok(entry.rows[0].detail.drainedUnderLock <= 500);
    assert.equal(entry.rows[0].detail.lockMs, result.lockMs);
  });

  it("refuses before prepare has ended, and moves nothing", async () => {
    await seedPrompts(tenant, 2);
    const result = await cutoverTenant(tenant.job(r2));
    assert.equal(result.status, "failed");
    assert.match(result.reason ?? "", /prompt-encryption is off; prepare has to end first/);
    const session = await tenant.as("platform_r1");
    assert.equal((await session.query("SELECT count(*)::int AS n FROM prompt_bodies")).rows[0].n, 2);
  });

  it("flips whereabouts and privileges of a release without mirrors", async () => {
    const r2Plain = { ...r2, sinkMirrors: [] };
    const result = await cutoverTenant(tenant.job(r2Plain));
    assert.equal(result.status, "done");
    assert.ok(result.lockMs !== undefined);
    const [old, present] = [await tenant.as("platform_r1"), await tenant.as("platform_r2")];
    await assert.rejects(old.query("SELECT title FROM prompts"), { code: "42501" });
    await present.query("INSERT INTO prompts (title) VALUES ('new')");
    await assert.rejects(present.query("SELECT body FROM prompt_bodies_sealed"), { code: "42501" });
    assert.equal((await cutoverTenant(tenant.job(r2Plain))).lockMs, undefined);
  });

  it("repairs a copy that was spoiled, and says so in the journal", async () => {
    await seedPrompts(tenant, 5);
    // The name is that of the engine's own key guard, which replaces it after the load.
    await spoil("zz_rc_keep_key");
    assert.equal((await prepareTenant(tenant.job(r2))).status, "done");
    assert.deepEqual(await openBodies(tenant), await readBodies(tenant, "off"));
    const entry = await tenant.admin.query("SELECT detail FROM rc.journal WHERE event = 'repaired'");
    assert.deepEqual(entry.rows, [
      { detail: { pair: "prompt_bodies", range: 0, missing: 0, surplus: 0, different: 5 } },
    ]);
  });

  it("stops when a repaired copy differs again, and names counts but no keys", async () => {
    const [id] = (await seedPrompts(tenant, 5)) as [string];
    process.env["RC_FAULT_POINT"] = "capture.after";
    await runTenants("prepare", [tenant.job(r2)], { concurrency: 1 });
    delete process.env["RC_FAULT_POINT"];
    await spoil("zz_rc_capture");
    let spoiled = await prepareTenant(tenant.job(r2));
    while (spoiled.reason?.includes("is busy") === true) spoiled = await prepareTenant(tenant.job(r2));
    assert.equal(spoiled.status, "failed");
    assert.match(spoiled.reason ?? "", /after a repair 0 rows are missing, 0 too many and 5 different/);
    assert.equal(spoiled.positions["prompt-encryption"], "off");
    assert.doesNotMatch(spoiled.reason ?? "", new RegExp(id));
  });

  /** Every row written to the copy is changed on its way. */
  async function spoil(trigger: string): Promise<void> {
    await tenant.admin.query(
      `CREATE FUNCTION public.spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.body = '\\x00'; RETURN NEW; END $$;
       CREATE TRIGGER ${trigger} BEFORE INSERT ON public.prompt_bodies_sealed FOR EACH ROW EXECUTE FUNCTION public.spoil()`,
    );
  }
});

describe("prepare", function () {
  this.timeout(120_000);
  let tenant: TestTenant;
  beforeEach(async () => {
    tenant = await createTenant();
  });
  afterEach(() => tenant.close());

  it("ends partial at its deadline and goes on in the next run", async () => {
    await seedPrompts(tenant, 20_000, 300);
    const results = [];
    for (let nth = 0; nth < 60 && results.at(-1)?.status !== "done"; nth += 1) {
      results.push(await prepareTenant(tenant.job(r2, { deadlineMs: Date.now() + 400 })));
    }
    assert.ok(results.length > 1, "one run was enough");
    assert.deepEqual([...new Set(results.slice(0, -1).map((result) => result.status))], ["partial"]);
    assert.equal(results.at(-1)?.status, "done");
    assert.equal(
      results.reduce((sum, result) => sum + result.copiedRows, 0),
      20_000,
    );
    assert.deepEqual(await openBodies(tenant), await readBodies(tenant, "off"));
  });

  it("honours cancel and pause within a chunk", async () => {
    await seedPrompts(tenant, 30_000, 300);
    const flag = (set: string): Promise<unknown> => tenant.admin.query(`UPDATE rc.mirror SET ${set}`);
    const started = async (): Promise<void> => {
      for (;;) {
        const found = await tenant.admin.query("SELECT FROM rc.range");
        if ((found.rowCount ?? 0) > 0) return;
        await sleep(10);
      }
    };
    const running = prepareTenant(tenant.job(r2));
    await started();
    await flag("pause = true");
    await sleep(700);
    const count = async (): Promise<number> =>
      (await tenant.admin.query("SELECT count(*)::int AS n FROM rc.range")).rows[0].n;
    const paused = await count();
    await sleep(500);
    assert.equal(await count(), paused);
    await flag("cancel = true, pause = false");
    const cancelled = await running;
    assert.equal(cancelled.status, "partial");
    assert.match(cancelled.reason ?? "", /cancel flag/);
    const resumed = await prepareTenant(tenant.job(r2));
    assert.deepEqual([resumed.status, resumed.positions["prompt-encryption"]], ["done", "mirroring"]);
  });

  it("does nothing where the pin is already, and does not end a mirror that is not named", async () => {
    await prepareTenant(tenant.job(r2));
    await cutoverTenant(tenant.job(r2));
    const again = [
      await prepareTenant(tenant.job(r2)),
      await cutoverTenant(tenant.job(r2)),
      await finalizeTenant(tenant.job(r2)),
    ];
    assert.deepEqual(
      again.map((result) => [result.status, result.positions["prompt-encryption"], result.lockMs]),
      again.map(() => ["done", "switched", undefined]),
    );
  });

  it("does not let one tenant's failure stop another", async () => {
    const other = await createTenant();
    try {
      await seedPrompts(other, 10);
      const broken = { ...tenant.job(r2), database: "mir_no_such_database" };
      const results = await runTenants("prepare", [broken, other.job(r2)], { concurrency: 2 });
      assert.deepEqual(
        results.map((result) => result.status),
        ["failed", "done"],
      );
      assert.match(results[0]?.reason ?? "", /mir_no_such_database/);
    } finally {
      await other.close();
    }
  });

  it("writes what R2 reads, and takes back what R2 wrote under a key that is newer than the engine's cache", async () => {
    const [id] = (await seedPrompts(tenant, 3)) as [string];
    await prepareTenant(tenant.job(r2));
    await cutoverTenant(tenant.job(r2));
    await tenant.keyring().addKey("prompt");
    await tenant.keyring().promoteKey("prompt", 0);
    const session = await tenant.as("platform_r2");
    await session.query("UPDATE prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [
      id,
      await sealBody(tenant, id, "new key"),
    ]);
    await prepareTenant(tenant.job(r1));
    const back = await cutoverTenant(tenant.job(r1));
    assert.deepEqual([back.status, back.reason], ["done", undefined]);
    assert.equal((await readBodies(tenant, "mirroring")).get(id), "new key");
  });
});
