import assert from "node:assert/strict";
import pg from "pg";
import { DeadlineError } from "../../../migrations/mirror/run.ts";
import { probeLimitMs, replicaLagLimitSeconds, slowMs, throttle } from "../../../migrations/mirror/throttle.ts";
import { getPostgresUrl } from "../../servers.ts";

interface Answer {
  readonly seconds?: string | null;
  readonly vacuumed?: string | null;
}

/** A server that gives these answers, one a question, the last one for ever; and a clock that only pauses move. */
function world(
  answers: readonly Answer[],
  { p99Ms, deadlineMs = Infinity }: { p99Ms?: number; deadlineMs?: number } = {},
) {
  const left = [...answers];
  const seen = { pausesMs: [] as number[], nowMs: 0, reasons: [] as string[] };
  const operator = {
    query: async () => {
      const { seconds = null, vacuumed = null } = (left.length > 1 ? left.shift() : left[0]) ?? {};
      return { rows: [{ seconds, vacuumed }] };
    },
  } as unknown as pg.Client;
  const wait = () =>
    throttle({
      operator,
      tables: ["public.bodies"],
      probe: { p99Ms },
      checkDeadline: () => {
        if (seen.nowMs >= deadlineMs) throw new DeadlineError("over");
      },
      onWait: (reason) => seen.reasons.push(reason),
      pause: async (ms: number) => {
        seen.pausesMs.push(ms);
        seen.nowMs += ms;
      },
    });
  return { seen, left, wait };
}

describe("the throttle of a load", () => {
  it("lets a chunk through at once while no replica is behind, or none is seen, and writes are quick", async () => {
    for (const seconds of [null, "0", "0.25", String(replicaLagLimitSeconds - 0.001)])
      for (const p99Ms of [undefined, 0, probeLimitMs]) {
        const { seen, wait } = world([{ seconds }], p99Ms === undefined ? {} : { p99Ms });
        await wait();
        assert.deepEqual(seen.pausesMs, [], `lag ${seconds}, p99 ${p99Ms}`);
      }
  });

  it("waits until the replica that is furthest behind has caught up, and asks again each half second", async () => {
    const lags = [String(replicaLagLimitSeconds), "3600.5", "10.2", "9.9", "0"];
    const { seen, left, wait } = world(lags.map((seconds) => ({ seconds })));
    await wait();
    assert.deepEqual(seen.pausesMs, [500, 500, 500]);
    assert.equal(left.length, 1, "it asks no more once it is let through");
    assert.equal(seen.reasons[1], "a replica that is 3601 s behind");
  });

  it("ends with the time of the run, however long a replica stays behind", async () => {
    const { seen, wait } = world([{ seconds: "60" }], { deadlineMs: 2000 });
    await assert.rejects(wait(), DeadlineError);
    assert.equal(seen.nowMs, 2000);
  });

  it("waits while autovacuum is at work on a table of the users, two seconds a chunk at most", async () => {
    const brief = world([{ vacuumed: "public.bodies" }, { vacuumed: "public.bodies" }, {}]);
    await brief.wait();
    assert.equal(brief.seen.nowMs, 1000);
    assert.match(brief.seen.reasons[0] ?? "", /autovacuum, which is at work on public\.bodies/);
    const long = world([{ vacuumed: "public.bodies" }]);
    await long.wait();
    assert.equal(long.seen.nowMs, slowMs);
  });

  it("slows down while small writes take long, and still goes on", async () => {
    const { seen, wait } = world([{}], { p99Ms: probeLimitMs + 1 });
    await wait();
    assert.equal(seen.nowMs, slowMs);
    assert.match(seen.reasons[0] ?? "", /small writes, which take 101 ms at the 99th percentile/);
  });

  it("waits for a replica as long as it takes, also when the rest would let it go on", async () => {
    const { seen, wait } = world([...Array(9).fill({ seconds: "60" }), {}], { p99Ms: 1 });
    await wait();
    assert.equal(seen.nowMs, 4500);
  });

  it("asks what a real server answers", async () => {
    const operator = new pg.Client({ connectionString: getPostgresUrl() });
    await operator.connect();
    try {
      const pause = () => assert.fail("there is nothing to wait for");
      const probe = { p99Ms: undefined };
      await throttle({ operator, tables: ["pg_catalog.pg_class"], probe, checkDeadline: () => {}, pause });
    } finally {
      await operator.end();
    }
  });
});
