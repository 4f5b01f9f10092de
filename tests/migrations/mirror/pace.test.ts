import assert from "node:assert/strict";
import fc from "fast-check";
import { chunkTimeMs, Pace } from "../../../migrations/mirror/pace.ts";

/** Copies chunks on a server of this speed, on a clock of its own. @returns rows and milliseconds of each chunk */
function copy(pace: Pace, chunks: number, msPerRow: (nth: number) => number): { rows: number; ms: number }[] {
  return Array.from({ length: chunks }, (_, nth) => {
    const rows = pace.rows;
    const ms = rows * msPerRow(nth);
    pace.record(rows, ms);
    return { rows, ms };
  });
}

const mostRows = 50_000;
/** Speeds at which a chunk between one row and 50,000 takes the time it should. */
const msPerRow = fc.double({ min: chunkTimeMs.longest / mostRows, max: chunkTimeMs.shortest, noNaN: true });
const anyTimeMs = fc.double({ min: 0, max: 1e7, noNaN: true });

describe("the pace of a copy", () => {
  it("comes to chunks of 250 to 500 ms at any speed, and stays there", () => {
    fc.assert(
      fc.property(msPerRow, (speed) => {
        for (const { ms } of copy(new Pace(), 40, () => speed).slice(20)) {
          assert.ok(ms <= chunkTimeMs.longest, `${ms} ms`);
          assert.ok(ms >= chunkTimeMs.shortest, `${ms} ms`);
        }
      }),
    );
  });

  it("finds the time again after the server has become slower or faster", () => {
    fc.assert(
      fc.property(msPerRow, msPerRow, (before, after) => {
        const chunks = copy(new Pace(), 60, (nth) => (nth < 30 ? before : after));
        for (const { ms } of chunks.slice(50)) assert.ok(ms >= chunkTimeMs.shortest && ms <= chunkTimeMs.longest);
      }),
    );
  });

  it("never more than doubles or halves, and stays between one row and the most", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: mostRows }), fc.array(anyTimeMs), (first, times) => {
        const pace = new Pace(first);
        for (const ms of times) {
          const before = pace.rows;
          pace.record(before, ms);
          assert.ok(Number.isInteger(pace.rows) && pace.rows >= 1 && pace.rows <= mostRows, `${pace.rows} rows`);
          assert.ok(pace.rows <= before * 2 && pace.rows >= Math.floor(before / 2), `${before} -> ${pace.rows}`);
        }
      }),
    );
  });

  it("does not grow on a chunk that 8 MiB or the end of the table cut short", () => {
    const pace = new Pace(1000);
    pace.record(100, 1);
    assert.equal(pace.rows, 1000);
    pace.record(100, chunkTimeMs.longest * 10);
    assert.equal(pace.rows, 500);
  });
});
