import assert from "node:assert/strict";
import { readRanges } from "../../../migrations/ledger/range.ts";
import { chunkLimitBytes } from "../../../migrations/mirror/chunk.ts";
import { prepareTenant } from "../../../migrations/mirror/engine.ts";
import { createTenant, r2, seedPrompts } from "./tenant-fixture.ts";

describe("a chunk", function () {
  this.timeout(120_000);

  it("is closed by the value that brings it to 8 MiB, however many rows it may have", async () => {
    const tenant = await createTenant();
    try {
      const mebibyte = 1024 * 1024;
      await seedPrompts(tenant, 20, mebibyte);
      const prepared = await prepareTenant(tenant.job(r2));
      assert.equal(prepared.status, "done", prepared.reason);
      const ranges = await readRanges(tenant.admin, "prompt-encryption", "prompt_bodies");
      // Each body is 8 bytes longer than a mebibyte: eight of them are just over the limit.
      assert.deepEqual(
        ranges.map(({ rows }) => rows),
        [8, 8, 4],
      );
      for (const { bytes } of ranges) assert.ok(bytes < chunkLimitBytes + mebibyte, `${bytes} bytes`);
    } finally {
      await tenant.close();
    }
  });
});
