import assert from "node:assert/strict";
import { once } from "node:events";
import pg from "pg";
import { Probe, probeWindow } from "../../../migrations/mirror/probe.ts";
import { getPostgresUrl } from "../../servers.ts";

/** A server that takes so long for each answer, on a clock that only answers move; then it answers no more. */
function world(latenciesMs: readonly number[]) {
  const clock = { nowMs: 0 };
  const left = [...latenciesMs];
  const silence = new AbortController();
  const operator = {
    query: async () => {
      const ms = left.shift();
      if (ms === undefined) {
        queueMicrotask(() => silence.abort());
        await new Promise(() => {});
      }
      clock.nowMs += ms ?? 0;
    },
  } as unknown as pg.Client;
  const probe = new Probe(
    operator,
    async () => {},
    () => clock.nowMs,
  );
  return { clock, probe, isSilent: () => once(silence.signal, "abort") };
}

describe("the probe of a copy", () => {
  it("knows a p99 only of a hundred answers, and takes the second longest", async () => {
    const few = world(Array(probeWindow - 2).fill(500));
    const silent = few.isSilent();
    few.probe.start();
    await silent;
    assert.equal(few.probe.p99Ms, undefined);

    const enough = world([...Array(probeWindow - 3).fill(1), 70, 90]);
    const isSilent = enough.isSilent();
    enough.probe.start();
    await isSilent;
    assert.equal(enough.probe.p99Ms, 70, "the question that is under way counts with the time it has taken");
  });

  it("forgets what is longer ago, and counts an answer that does not come", async () => {
    const { probe, clock, isSilent } = world([...Array(probeWindow).fill(300), ...Array(probeWindow).fill(2)]);
    const silent = isSilent();
    probe.start();
    await silent;
    assert.equal(probe.p99Ms, 2);
    clock.nowMs += 10_000;
    assert.equal(probe.p99Ms, 2, "one that does not come is one in a hundred");
  });

  it("measures transactions of a real server until it is stopped, and nothing where the login may not", async () => {
    const operator = new pg.Client({ connectionString: getPostgresUrl() });
    await operator.connect();
    try {
      const before = await operator.query<{ lsn: string }>("SELECT pg_current_wal_insert_lsn() AS lsn");
      const probe = new Probe(operator, async () => {}).start();
      while (probe.p99Ms === undefined) await operator.query("SELECT 1");
      await probe.stop();
      assert.ok(probe.p99Ms > 0);
      const written = await operator.query<{ grew: boolean }>(
        "SELECT pg_current_wal_insert_lsn() > $1::pg_lsn AS grew",
        [before.rows[0]?.lsn],
      );
      assert.equal(written.rows[0]?.grew, true, "a question that writes nothing measures no write");
      const refused = new Probe({ query: () => operator.query("SELECT nobody_may()") }).start();
      await refused.stop();
      assert.equal(refused.p99Ms, undefined);
    } finally {
      await operator.end();
    }
  });
});
