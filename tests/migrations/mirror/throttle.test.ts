import assert from "node:assert/strict";
import pg from "pg";
import { DeadlineError } from "../../../migrations/mirror/run.ts";
import { replicaLagLimitSeconds, throttle } from "../../../migrations/mirror/throttle.ts";
import { getPostgresUrl } from "../../servers.ts";

/** A server whose replicas are so far behind, one answer a question, and a clock that only pauses move. */
function world(lagSeconds: readonly (string | null)[], deadlineMs = Infinity) {
  const left = [...lagSeconds];
  const seen = { pausesMs: [] as number[], nowMs: 0 };
  const operator = { query: async () => ({ rows: [{ seconds: left.shift() ?? null }] }) } as unknown as pg.Client;
  const run = {
    sessions: { operator },
    checkDeadline: () => {
      if (seen.nowMs >= deadlineMs) throw new DeadlineError("over");
    },
  };
  const pause = async (ms: number) => {
    seen.pausesMs.push(ms);
    seen.nowMs += ms;
  };
  return { seen, left, wait: () => throttle(run, pause) };
}

describe("the throttle of a load", () => {
  it("lets a chunk through at once while no replica is behind, or none is seen", async () => {
    for (const lag of [null, "0", "0.25", String(replicaLagLimitSeconds - 0.001)]) {
      const { seen, wait } = world([lag]);
      await wait();
      assert.deepEqual(seen.pausesMs, [], `lag ${lag}`);
    }
  });

  it("waits until the replica that is furthest behind has caught up, and asks again each half second", async () => {
    const { seen, left, wait } = world([String(replicaLagLimitSeconds), "3600.5", "10.2", "9.9", "0"]);
    await wait();
    assert.deepEqual(seen.pausesMs, [500, 500, 500]);
    assert.deepEqual(left, ["0"], "it asks no more once it is let through");
  });

  it("ends with the time of the run, however long a replica stays behind", async () => {
    const { seen, wait } = world(Array(100).fill("60"), 2000);
    await assert.rejects(wait(), DeadlineError);
    assert.equal(seen.nowMs, 2000);
  });

  it("asks what a real server answers", async () => {
    const operator = new pg.Client({ connectionString: getPostgresUrl() });
    await operator.connect();
    try {
      const never = () => assert.fail("there is no replica to wait for");
      await throttle({ sessions: { operator }, checkDeadline: () => {} }, never);
    } finally {
      await operator.end();
    }
  });
});
