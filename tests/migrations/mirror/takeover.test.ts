import assert from "node:assert/strict";
import pg from "pg";
import { setTimeout as sleep } from "node:timers/promises";
import { holdEpoch, takeOver, TakenOverError } from "../../../migrations/ledger/epoch.ts";
import { ensureMirror } from "../../../migrations/ledger/position.ts";
import { cutoverTenant, prepareTenant } from "../../../migrations/mirror/engine.ts";
import type { TenantResult } from "../../../migrations/mirror/job.ts";
import { runTenants } from "../../../migrations/mirror/pool.ts";
import { databaseUrl } from "../../servers.ts";
import { Client } from "./client.ts";
import { createTenant, openBodies, r1, r2, readBodies, seedPrompts, type TestTenant } from "./tenant-fixture.ts";

describe("two runs on one tenant", function () {
  this.timeout(120_000);
  let tenant: TestTenant;
  const sessions: pg.Client[] = [];
  beforeEach(async () => {
    tenant = await createTenant();
  });
  afterEach(async () => {
    delete process.env["RC_FAULT_POINT"];
    delete process.env["RC_FAULT_SIGNAL"];
    await Promise.all(sessions.splice(0).map((client) => client.end().catch(() => {})));
    await tenant.close();
  });

  async function session(name: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: databaseUrl(tenant.database), application_name: name });
    client.on("error", () => {});
    await client.connect();
    sessions.push(client);
    return client;
  }

  it("refuses the second one, naming the first", async () => {
    await seedPrompts(tenant, 10);
    process.env["RC_FAULT_POINT"] = "lock";
    process.env["RC_FAULT_SIGNAL"] = "SIGSTOP";
    let worker = 0;
    const first = runTenants("prepare", [tenant.job(r2)], { concurrency: 1, onWorker: (_, pid) => (worker = pid) });
    await stopped(() => worker);
    const second = await prepareTenant(tenant.job(r2));
    process.kill(worker, "SIGCONT");
    assert.equal(second.status, "failed");
    assert.match(second.reason ?? "", /is busy: backend \d+ \(rc-mirror m\w+ control\) holds its lock/);
    assert.equal((await first)[0]?.status, "done");
  });

  for (const point of [
    "chunk.commit.after",
    "chunk.copy.before",
    "drain.before",
    "verify.after",
    "cutover.lock.before",
  ]) {
    it(`lets a worker that was paused at ${point} write nothing after it was taken over`, async () => {
      await seedPrompts(tenant, 1500);
      const user = await Client.connect(tenant);
      for (const [id, body] of await readBodies(tenant, "off")) user.acknowledged.set(id, body);
      const isCutover = point.startsWith("cutover");
      if (isCutover) assert.equal((await prepareTenant(tenant.job(r2))).status, "done");
      process.env["RC_FAULT_POINT"] = point;
      process.env["RC_FAULT_SIGNAL"] = "SIGSTOP";
      let worker = 0;
      const paused = runTenants(isCutover ? "cutover" : "prepare", [tenant.job(r2)], {
        concurrency: 1,
        onWorker: (_, pid) => (worker = pid),
      });
      await stopped(() => worker);
      delete process.env["RC_FAULT_POINT"];
      // Its connection was lost, the server has noticed: the lock is free while the process still believes in it.
      await tenant.admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1
         AND (application_name LIKE '% control' OR state = 'idle in transaction')`,
        [tenant.database],
      );
      await sleep(100);
      const [first, second] = user.acknowledged.keys() as Iterable<string>;
      await user.update(first as string, "changed before the second run");
      for (const run of [prepareTenant, cutoverTenant]) {
        const result = await run(tenant.job(r2));
        assert.deepEqual([result.status, result.reason], ["done", undefined]);
      }
      await user.update(second as string, "changed under r2");
      process.kill(worker, "SIGCONT");
      const [late] = (await paused) as [TenantResult];
      assert.equal(late.status, "failed");
      assert.deepEqual(new Map([...(await openBodies(tenant))].sort()), new Map([...user.acknowledged].sort()));
      assert.equal((await prepareTenant(tenant.job(r2))).positions["prompt-encryption"], "switched");
    });
  }

  it("lets a worker that was paused before a flip without mirrors let nobody in after it was taken over", async () => {
    await seedPrompts(tenant, 10);
    for (const run of [prepareTenant, cutoverTenant]) assert.equal((await run(tenant.job(r2))).status, "done");
    // Another content of the same release: only whereabouts and privileges move.
    const next = { ...r2, hash: "333333333333", pin: "r2@333333333333" };
    process.env["RC_FAULT_POINT"] = "cutover.lock.before";
    process.env["RC_FAULT_SIGNAL"] = "SIGSTOP";
    let worker = 0;
    const paused = runTenants("cutover", [tenant.job(next)], { concurrency: 1, onWorker: (_, pid) => (worker = pid) });
    await stopped(() => worker);
    delete process.env["RC_FAULT_POINT"];
    await tenant.admin.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE '% control'",
      [tenant.database],
    );
    await sleep(100);
    for (const run of [prepareTenant, cutoverTenant]) assert.equal((await run(tenant.job(r1))).status, "done");
    process.kill(worker, "SIGCONT");
    const [late] = (await paused) as [TenantResult];
    assert.equal(late.status, "failed");
    const at = await tenant.admin.query<{ pin: string; stray: boolean }>(
      "SELECT pin, has_table_privilege('platform_r2', 'public.prompts', 'UPDATE') AS stray FROM rc.whereabouts",
    );
    assert.deepEqual(at.rows, [{ pin: r1.pin, stray: false }]);
  });

  it("waits for a writer of the old epoch, and stops it afterwards", async () => {
    const [old, taker, operator] = [
      await session("rc-mirror old"),
      await session("rc-mirror new"),
      await session("op"),
    ];
    await ensureMirror(old, "prompt-encryption");
    await old.query("BEGIN");
    await holdEpoch(old, "prompt-encryption", 0n);
    let isTaken = false;
    const taking = takeOver(taker, operator, ["prompt-encryption"], "test").then((epochs) => {
      isTaken = true;
      return epochs;
    });
    await sleep(200);
    assert.equal(isTaken, false);
    await old.query("COMMIT");
    assert.equal((await taking).get("prompt-encryption"), 1n);
    await old.query("BEGIN");
    await assert.rejects(holdEpoch(old, "prompt-encryption", 0n), TakenOverError);
  });

  it("gives up, naming it, when a session that is none of the engine's keeps the mirror's row", async () => {
    const [taker, operator] = [await session("rc-mirror new"), await session("op")];
    await ensureMirror(taker, "prompt-encryption");
    await tenant.admin.query("BEGIN; SELECT FROM rc.mirror FOR UPDATE");
    const pid = (await tenant.admin.query("SELECT pg_backend_pid() AS pid")).rows[0].pid as number;
    const taking = takeOver(taker, operator, ["prompt-encryption"], "test", { patienceMs: 300 });
    await assert.rejects(taking, new RegExp(`stays locked by pid ${pid} \\(.*idle in transaction`));
    await tenant.admin.query("ROLLBACK");
    const epochs = await takeOver(taker, operator, ["prompt-encryption"], "test", { patienceMs: 300 });
    assert.equal(epochs.get("prompt-encryption"), 1n);
  });

  it("tells a takeover that ends its session from a server that stops", async () => {
    await ensureMirror(tenant.admin, "prompt-encryption");
    const ended = async (pids: (taker: number, operator: number) => number[]): Promise<unknown> => {
      const [taker, operator] = [await session("rc-mirror new"), await session("op")];
      const pidOf = async (client: pg.Client): Promise<number> =>
        (await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows[0]?.pid ?? 0;
      const [takerPid, operatorPid] = [await pidOf(taker), await pidOf(operator)];
      await tenant.admin.query("BEGIN; SELECT FROM rc.mirror FOR UPDATE");
      const taking = takeOver(taker, operator, ["prompt-encryption"], "test").then(
        () => undefined,
        (error: unknown) => error,
      );
      const waits = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'";
      while ((await tenant.admin.query(waits, [takerPid])).rowCount === 0) await sleep(10);
      await tenant.admin.query(
        "SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) WITH ORDINALITY AS t(pid, nth) ORDER BY nth",
        [pids(takerPid, operatorPid)],
      );
      const fault = await taking;
      await tenant.admin.query("ROLLBACK");
      return fault;
    };
    assert.ok((await ended((taker) => [taker])) instanceof TakenOverError);
    const stopped = await ended((taker, operator) => [operator, taker]);
    assert.ok(stopped instanceof Error && !(stopped instanceof TakenOverError), String(stopped));
  });

  it("terminates a writer of the old epoch that does not end", async () => {
    const [old, taker, operator] = [
      await session("rc-mirror old"),
      await session("rc-mirror new"),
      await session("op"),
    ];
    await ensureMirror(old, "prompt-encryption");
    await old.query("BEGIN");
    await holdEpoch(old, "prompt-encryption", 0n);
    const epochs = await takeOver(taker, operator, ["prompt-encryption"], "test", { patienceMs: 200 });
    assert.equal(epochs.get("prompt-encryption"), 1n);
    await assert.rejects(old.query("COMMIT"));
  });
});

/** Until the process is stopped by a signal, as its state in /proc says. */
async function stopped(pid: () => number): Promise<void> {
  const { readFile } = await import("node:fs/promises");
  for (;;) {
    if (pid() !== 0 && / T /.test((await readFile(`/proc/${pid()}/stat`, "utf8")).slice(0, 200))) return;
    await sleep(20);
  }
}
