import assert from "node:assert/strict";
import fc from "fast-check";
import { lineEveryMs, WaveProgress } from "../../../migrations/nodes/wave-progress.ts";

describe("progress of a wave", () => {
  function watch(tenants = 3): { progress: WaveProgress; lines: string[]; at: (ms: number) => void } {
    let nowMs = 0;
    const lines: string[] = [];
    const progress = new WaveProgress(
      tenants,
      (line) => lines.push(line),
      () => nowMs,
    );
    return { progress, lines, at: (ms) => (nowMs = ms) };
  }

  it("names tenant and rows at once, rate and time left as soon as there is a rate", () => {
    const { progress, lines, at } = watch();
    progress.record({ tenant: "acme", step: "copied", rows: 1000, ofRows: 61_000 });
    at(2000);
    progress.record({ tenant: "acme", step: "copied", rows: 11_000, ofRows: 61_000 });
    at(4000);
    progress.record({ tenant: "acme", step: "copied", rows: 21_000 });
    assert.deepEqual(lines, [
      "acme: 1000 of about 61000 rows copied; 0 of 3 tenants ended",
      "acme: 11000 of about 61000 rows copied, 5000 rows/s, about 10 s left for this step; 0 of 3 tenants ended",
      "acme: 21000 rows copied, 5000 rows/s; 0 of 3 tenants ended",
    ]);
  });

  it("says what a tenant waits for", () => {
    const { progress, lines } = watch();
    progress.record({ tenant: "acme", step: "copied", rows: 0, waitsFor: "the pause flag, which is set" });
    assert.deepEqual(lines, ["acme: waits for the pause flag, which is set; 0 of 3 tenants ended"]);
  });

  it("measures each step and each tenant by itself", () => {
    const { progress, lines, at } = watch();
    progress.record({ tenant: "acme", step: "copied", rows: 5000 });
    at(1000);
    progress.record({ tenant: "acme", step: "compared", rows: 100, ofRows: 600_000 });
    at(2000);
    progress.record({ tenant: "acme", step: "compared", rows: 1100, ofRows: 600_000 });
    at(3000);
    progress.record({ tenant: "globex", step: "copied", rows: 10 });
    at(4000);
    progress.end("globex", "failed");
    assert.deepEqual(lines.slice(1), [
      "acme: 100 of about 600000 rows compared; 0 of 3 tenants ended",
      "acme: 1100 of about 600000 rows compared, 1000 rows/s, about 10 min left for this step; 0 of 3 tenants ended",
      "globex: 10 rows copied; 0 of 3 tenants ended",
      "globex: failed; 1 of 3 tenants ended",
    ]);
  });

  it("never shows two lines within a second, whatever it is told", () => {
    const told = fc.array(fc.record({ afterMs: fc.nat(1500), rows: fc.nat(100_000), isEnd: fc.boolean() }));
    fc.assert(
      fc.property(told, (all) => {
        const shownAtMs: number[] = [];
        let nowMs = 0;
        const progress = new WaveProgress(
          all.length,
          (line) => {
            assert.doesNotMatch(line, /NaN|Infinity|-\d/);
            shownAtMs.push(nowMs);
          },
          () => nowMs,
        );
        let rows = 0;
        for (const each of all) {
          nowMs += each.afterMs;
          rows += each.rows;
          if (each.isEnd) progress.end("acme", "done");
          else progress.record({ tenant: "acme", step: "copied", rows, ofRows: rows + 7 });
        }
        assert.equal(shownAtMs.length > 0, all.length > 0);
        for (const [nth, atMs] of shownAtMs.entries())
          if (nth > 0) assert.ok(atMs - (shownAtMs[nth - 1] ?? 0) >= lineEveryMs);
      }),
    );
  });
});
