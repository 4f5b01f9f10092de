import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { ensureLedger } from "../../../migrations/ledger/schema.ts";
import { KeysetTable } from "../../../migrations/vault/keyset-table.ts";
import { createDatabase, dropDatabase } from "../../servers.ts";

describe("the table of keysets", () => {
  const [one, two] = [Buffer.from("one"), Buffer.from("two")];
  const stored = (encrypted: Buffer) => ({ encrypted, binding: Buffer.from("b"), headBinding: Buffer.from("h") });
  let client: pg.Client;
  let connectionString: string;

  before(async () => {
    connectionString = await createDatabase("tink_table_test");
    client = new pg.Client({ connectionString });
    await client.connect();
    await ensureLedger(client);
  });

  after(async () => {
    await client.end();
    await dropDatabase("tink_table_test");
  });

  it("takes a version only after the one that is the newest", async () => {
    const table = new KeysetTable(client, "in-turn");
    assert.equal(await table.append("prompt", 1, stored(one)), false);
    assert.equal(await table.append("prompt", 0, stored(one)), true);
    assert.equal(await table.append("prompt", 0, stored(two)), false);
    assert.equal(await table.append("prompt", 5, stored(two)), false);
    assert.equal(await table.append("prompt", 1, stored(two)), true);
    assert.deepEqual(
      (await table.all()).map(({ cls, version, encrypted }) => [cls, version, encrypted]),
      [
        ["prompt", 1, one],
        ["prompt", 2, two],
      ],
    );
    assert.equal((await table.findNewest("prompt"))?.version, 2);
  });

  it("takes one of two that are added in transactions side by side, without an error", async () => {
    const rival = new pg.Client({ connectionString });
    await rival.connect();
    try {
      await client.query("BEGIN");
      assert.equal(await new KeysetTable(client, "rivals").append("prompt", 0, stored(one)), true);
      const { rows } = await rival.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
      const second = new KeysetTable(rival, "rivals").append("prompt", 0, stored(two));
      await untilItWaitsForALock(rows[0]?.pid ?? 0);
      await client.query("COMMIT");
      assert.equal(await second, false);
    } finally {
      await rival.end();
    }
    assert.deepEqual((await new KeysetTable(client, "rivals").findNewest("prompt"))?.encrypted, one);
  });

  it("replaces a row only while it is as it was read", async () => {
    const table = new KeysetTable(client, "replaced");
    await table.append("prompt", 0, stored(one));
    const row = await table.find("prompt", 1);
    assert.ok(row);
    assert.equal(await table.replace(row, two), true);
    assert.equal(await table.replace(row, Buffer.from("three")), false);
    assert.deepEqual((await table.find("prompt", 1))?.encrypted, two);
  });

  it("keeps tenants and classes apart", async () => {
    const [mine, yours] = [new KeysetTable(client, "mine"), new KeysetTable(client, "yours")];
    await mine.append("prompt", 0, stored(one));
    assert.equal(await yours.hasAny(), false);
    assert.equal(await mine.findNewest("verify"), undefined);
    assert.deepEqual(await yours.all(), []);
    assert.equal(await yours.append("prompt", 0, stored(two)), true);
    assert.deepEqual((await mine.findNewest("prompt"))?.encrypted, one);
  });

  async function untilItWaitsForALock(pid: number): Promise<void> {
    const asking = "SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'";
    while ((await client.query(asking, [pid])).rowCount === 0) {
      // Within one transaction the view stays as it was first read.
      await client.query("SELECT pg_stat_clear_snapshot()");
      await sleep(10);
    }
  }
});
