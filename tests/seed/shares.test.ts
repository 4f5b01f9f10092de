import assert from "node:assert/strict";
import fc from "fast-check";
import { divideRows } from "../../local/seed/shares.ts";

describe("shares of the seed", () => {
  it("give away every row, to tenants of uneven size", () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.integer({ min: 1, max: 60 }), (rows, tenants) => {
        const parts = divideRows(rows, tenants);
        assert.equal(parts.length, tenants);
        assert.equal(
          parts.reduce((sum, part) => sum + part, 0),
          rows,
        );
        assert.ok(parts.every((part) => part >= 0));
      }),
    );
    const parts = divideRows(40_000, 10);
    assert.ok((parts[0] ?? 0) > 5 * (parts[9] ?? 0), `the first is much larger than the last: ${parts.join(", ")}`);
  });

  it("divide nothing among nobody", () => {
    assert.deepEqual(divideRows(0, 0), []);
  });
});
