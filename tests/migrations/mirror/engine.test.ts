import assert from "node:assert/strict";
import { cutoverTenant, finalizeTenant, prepareTenant } from "../../../migrations/mirror/engine.ts";
import {
  contract,
  createTenant,
  openBodies,
  r1,
  r2,
  readBodies,
  sealBody,
  seedPrompts,
  type TestTenant,
  undoContract,
} from "./tenant-fixture.ts";

const mirror = "prompt-encryption";

describe("mirror engine", function () {
  this.timeout(60_000);
  let tenant: TestTenant;
  beforeEach(async () => {
    tenant = await createTenant();
  });
  afterEach(() => tenant.close());

  it("goes from off to retired and all the way back without losing a row", async () => {
    const ids = await seedPrompts(tenant, 3000);
    const before = await readBodies(tenant, "off");
    const named = { mirrors: [mirror] };

    const prepared = await prepareTenant(tenant.job(r2));
    assert.deepEqual([prepared.status, prepared.reason], ["done", undefined]);
    assert.equal(prepared.positions[mirror], "mirroring");
    assert.equal(prepared.rows, 3000);
    assert.deepEqual(await openBodies(tenant), before);

    const r1Session = await tenant.as("platform_r1");
    const r2Session = await tenant.as("platform_r2");
    const [first, second] = ids as [string, string];
    await r1Session.query("UPDATE prompt_bodies SET body = 'changed while mirroring' WHERE prompt_id = $1", [first]);
    before.set(first, "changed while mirroring");

    const cut = await cutoverTenant(tenant.job(r2));
    assert.deepEqual([cut.status, cut.reason], ["done", undefined]);
    assert.equal(cut.positions[mirror], "switched");
    assert.ok(cut.lockMs !== undefined && cut.lockMs > 0);
    assert.deepEqual(await openBodies(tenant), before);
    await assert.rejects(r1Session.query("SELECT body FROM prompt_bodies LIMIT 1"), { code: "42501" });
    await assert.rejects(r1Session.query("SELECT title FROM prompts LIMIT 1"), { code: "42501" });
    assert.equal((await r1Session.query("SELECT release FROM rc.whereabouts")).rows[0].release, "r2");
    await r2Session.query("UPDATE prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [
      second,
      await sealBody(tenant, second, "changed under r2"),
    ]);
    before.set(second, "changed under r2");

    const retired = await finalizeTenant(tenant.job(r2, named));
    assert.deepEqual([retired.status, retired.reason, retired.positions[mirror]], ["done", undefined, "retired"]);
    await contract(tenant);
    await r2Session.query("DELETE FROM prompts WHERE id = $1", [first]);
    before.delete(first);

    await undoContract(tenant);
    const rebuilt = await prepareTenant(tenant.job(r1));
    assert.deepEqual([rebuilt.status, rebuilt.reason, rebuilt.positions[mirror]], ["done", undefined, "switched"]);
    const back = await cutoverTenant(tenant.job(r1));
    assert.deepEqual([back.status, back.reason, back.positions[mirror]], ["done", undefined, "mirroring"]);
    assert.deepEqual(await readBodies(tenant, "mirroring"), before);
    assert.deepEqual(await openBodies(tenant), before);
    await assert.rejects(r2Session.query("SELECT body FROM prompt_bodies_sealed LIMIT 1"), { code: "42501" });
    await r1Session.query("DELETE FROM prompts WHERE id = $1", [second]);
    before.delete(second);

    const off = await finalizeTenant(tenant.job(r1, named));
    assert.deepEqual([off.status, off.reason, off.positions[mirror]], ["done", undefined, "off"]);
    assert.deepEqual(await readBodies(tenant, "off"), before);
    const left = await tenant.admin.query("SELECT count(*)::int AS sealed FROM public.prompt_bodies_sealed");
    assert.equal(left.rows[0].sealed, 0);
    const keysets = await tenant.admin.query("SELECT class FROM rc.keyset ORDER BY 1");
    assert.deepEqual(
      keysets.rows.map((row) => row.class),
      ["prompt", "verify"],
    );
  });
});
