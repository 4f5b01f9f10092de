import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "./client.ts";
import { runNodes } from "./nodes.ts";
import { createTenant, openBodies, r1, r2, readBodies, seedPrompts, type TestTenant } from "./tenant-fixture.ts";

describe("a tenant that is used all the time", function () {
  this.timeout(180_000);
  let tenant: TestTenant;
  beforeEach(async () => {
    tenant = await createTenant();
  });
  afterEach(() => tenant.close());

  it("goes forward, back, to the end and back again with every acknowledged write exactly once", async () => {
    await seedPrompts(tenant, 4000, 400);
    const seeded = await readBodies(tenant, "off");
    const users = await Promise.all([1, 2, 3].map(() => Client.connect(tenant)));
    let isOver = false;
    const traffic = users.map(async (user, nth) => {
      for (let count = 0; !isOver; count += 1) {
        const own = [...user.acknowledged.keys()];
        const id = own[(count * 7) % Math.max(1, own.length)];
        if (id === undefined || count % 4 === 0) await user.insert(`user ${nth} write ${count}`);
        else if (count % 9 === 5) await user.delete(id);
        else await user.update(id, `user ${nth} write ${count}`);
        await sleep(2);
      }
    });
    const locks: number[] = [];
    try {
      for (const [release, isFinalizeNamed] of [
        [r2, false],
        [r1, false],
        [r2, true],
        [r1, true],
      ] as const) {
        const results = await runNodes(tenant, release, { isFinalizeNamed });
        locks.push(...results.flatMap((result) => result.lockMs ?? []));
        await sleep(100);
      }
    } finally {
      isOver = true;
      await Promise.all(traffic);
    }
    assert.equal(locks.length, 4);
    const expected = new Map([...seeded, ...users.flatMap((user) => [...user.acknowledged])].sort());
    assert.deepEqual(new Map([...(await readBodies(tenant, "off"))].sort()), expected);
    for (const user of users) assert.ok(user.fenced >= 4, `a user met the fence ${user.fenced} times`);
    await runNodes(tenant, r2);
    assert.deepEqual(new Map([...(await openBodies(tenant))].sort()), expected);
  });
});
