import assert from "node:assert/strict";
import fc from "fast-check";
import { durationNs, durationText } from "../../local/plugins/docker/go-duration.ts";

describe("durations as Go writes them", () => {
  it("read back as they were written", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000_000 }), (ms) =>
        assert.equal(durationNs(durationText(ms * 1e6)), ms * 1e6),
      ),
    );
  });

  it("are written like the official plugin's", () => {
    assert.deepEqual([0, 5e8, 1e9, 60e9, 90e9, 3600e9].map(durationText), [
      "0s",
      "500ms",
      "1s",
      "1m0s",
      "1m30s",
      "1h0m0s",
    ]);
  });

  it("are refused when they are none", () => {
    for (const text of ["5", "fast", "1x", "-1s"]) assert.equal(durationNs(text), undefined, text);
  });
});
