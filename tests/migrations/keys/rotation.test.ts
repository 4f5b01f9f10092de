import assert from "node:assert/strict";
import type pg from "pg";
import { kekVersionOf } from "../../../migrations/backup/backup-keys.ts";
import { disableKey, tendPrimary } from "../../../migrations/keys/new-primary.ts";
import { countRowsByKey } from "../../../migrations/keys/key-census.ts";
import { oldestKekAt } from "../../../migrations/keys/live-backups.ts";
import { rotateKek } from "../../../migrations/keys/rotate-kek.ts";
import { cutoverTenant, prepareTenant } from "../../../migrations/mirror/engine.ts";
import { KeysetTable } from "../../../migrations/vault/keyset-table.ts";
import { Transit } from "../../../migrations/vault/transit.ts";
import { getVault } from "../../servers.ts";
import { createTenant, environment, openBodies, r2, seedPrompts, type TestTenant } from "../mirror/tenant-fixture.ts";
import { killedRotation } from "./rotation-process.ts";

describe("keys of a tenant", function () {
  this.timeout(300_000);
  let tenant: TestTenant;
  let client: pg.Client;
  let transit: Transit;
  let bodies: Map<string, string>;
  before(async () => {
    tenant = await createTenant();
    await seedPrompts(tenant, 50);
    for (const act of [prepareTenant, cutoverTenant]) assert.equal((await act(tenant.job(r2))).status, "done");
    client = tenant.admin;
    transit = new Transit({ ...getVault(), mount: `transit-${environment}` });
    bodies = await openBodies(tenant);
    assert.equal(bodies.size, 50);
  });
  after(() => tenant?.close());

  const rotate = (changes: { minAgeMs?: number; oldestLiveBackup?: number } = {}) =>
    rotateKek({ client, transit, tenant: tenant.tenant, minAgeMs: 0, oldestLiveBackup: undefined, ...changes });
  const sealed = async () =>
    (await client.query<{ body: Buffer }>("SELECT body FROM public.prompt_bodies_sealed ORDER BY prompt_id")).rows;
  const wrappedBy = async () =>
    (await new KeysetTable(client, tenant.tenant).all()).map(({ encrypted }) => kekVersionOf(encrypted));
  const tend = (changes: Parameters<typeof tendPrimary>[4] = {}) =>
    tendPrimary(client, transit, tenant.tenant, "prompt", changes);

  it("are wrapped anew by a rotation, which touches no row and puts the older version out of use", async () => {
    const before = await sealed();
    const result = await rotate();
    assert.deepEqual([result.status, result.version, result.minDecryptionVersion], ["rotated", 2, 2]);
    assert.deepEqual(result.keysets, { 2: 2 });
    assert.deepEqual(await sealed(), before);
    assert.deepEqual(await openBodies(tenant), bodies);
  });

  it("are left alone when their KEK is younger than asked for", async () => {
    const result = await rotate({ minAgeMs: 3_600_000 });
    assert.deepEqual([result.status, result.version], ["young", 2]);
  });

  it("stay open for the oldest live backup, by its version or by the time it goes back to", async () => {
    const result = await rotate({ oldestLiveBackup: 2 });
    assert.deepEqual([result.version, result.minDecryptionVersion], [3, 2]);
    assert.equal(await oldestKekAt(client, undefined), 1);
    assert.equal(await oldestKekAt(client, new Date(Date.now() + 60_000)), 3);
    assert.equal(await oldestKekAt(client, new Date(0)), 1);
  });

  it("open after a rotation that was killed anywhere, and the next run ends that one instead of beginning another", async () => {
    for (const point of ["rotate.begun", "rotate.rotated", "rotate.rewrapped", "rotate.raised"] as const) {
      const { latestVersion } = await transit.getKek(tenant.tenant);
      await killedRotation(tenant, point);
      assert.deepEqual(await openBodies(tenant), bodies, point);
      const result = await rotate({ minAgeMs: 3_600_000 });
      const wanted = { status: "resumed", version: latestVersion + 1, minDecryptionVersion: latestVersion + 1 };
      const { status, version, minDecryptionVersion } = result;
      assert.deepEqual({ status, version, minDecryptionVersion }, wanted, point);
      assert.ok(
        (await wrappedBy()).every((each) => each === latestVersion + 1),
        point,
      );
      assert.deepEqual(await openBodies(tenant), bodies, point);
    }
  });

  it("get a new primary in two steps, with the time in between in the ledger", async () => {
    const added = await tend({ isWanted: true });
    assert.equal(added?.status, "added");
    const waiting = await tend({ isWanted: true });
    assert.deepEqual([waiting?.status, waiting?.keyId], ["waiting", added?.keyId]);
    assert.ok((waiting?.sealsFrom?.getTime() ?? 0) > Date.now() + 500_000);
    assert.notEqual((await tenant.keyring().get("prompt")).aead.primaryKeyId, added?.keyId);
    // Ten minutes later, by the clock that counts: the database's.
    await client.query("UPDATE rc.keyset SET created_at = created_at - interval '11 minutes'");
    assert.equal((await tend())?.status, "promoted");
    assert.equal((await tenant.keyring().get("prompt")).aead.primaryKeyId, added?.keyId);
    assert.equal((await tend())?.status, "kept");
    assert.deepEqual(await openBodies(tenant), bodies);
  });

  it("get a new primary when it is due by age, by rows or by bytes, and not before", async () => {
    const far = { ageMs: 1e15, rows: 1e15, bytes: 1e15 };
    assert.equal((await tend({ limits: far }))?.status, "kept");
    // Bulk work under the present primary: the ranges name the version of the keyset that sealed them.
    const [{ version } = { version: 0 }] = (
      await client.query<{ version: number }>("SELECT max(version) AS version FROM rc.keyset WHERE class = 'prompt'")
    ).rows;
    await client.query("UPDATE rc.range SET keyset_version = $1", [version]);
    await client.query("CREATE TEMP TABLE head AS SELECT * FROM rc.keyset_head WHERE class = 'prompt'");
    for (const limits of [
      { ...far, rows: 50 },
      { ...far, bytes: 1000 },
      { ...far, ageMs: 0 },
    ]) {
      assert.equal((await tend({ limits }))?.status, "added");
      await client.query("DELETE FROM rc.keyset WHERE class = 'prompt' AND version > $1", [version]);
      await client.query(
        "UPDATE rc.keyset_head SET version = head.version, binding = head.binding FROM head WHERE keyset_head.class = head.class",
      );
    }
    assert.equal((await tend({ limits: { ...far, rows: 51 } }))?.status, "kept");
  });

  it("are disabled only when they have stopped sealing and no row needs them", async () => {
    const [old] = await countRowsByKey(client, "prompt");
    assert.equal(old?.rows, 50);
    const oldKey = old?.keyId ?? 0;
    const disable = (keyId: number, cacheAgeMs = 0) =>
      disableKey(client, transit, tenant.tenant, keyId, "prompt", cacheAgeMs);
    const { aead } = await tenant.keyring().get("prompt");
    await assert.rejects(disable(aead.primaryKeyId), /seals; give the tenant another one first/);
    await assert.rejects(disable(oldKey, 3_600_000), /was replaced .* a service may seal with it/);
    await assert.rejects(disable(oldKey), /opens 50 rows/);
    await assert.rejects(disable(1), /does not exist/);
    await client.query("TRUNCATE rc.dirty_prompt_bodies; ALTER TABLE public.prompt_bodies_sealed DISABLE TRIGGER USER");
    await client.query("DELETE FROM public.prompt_bodies_sealed");
    await disable(oldKey);
    assert.equal((await tenant.keyring().get("prompt")).aead.knows(oldKey), false);
    await disable(oldKey);
  });
});
