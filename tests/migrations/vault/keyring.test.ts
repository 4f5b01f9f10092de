import assert from "node:assert/strict";
import { inspect } from "node:util";
import pg from "pg";
import { ensureBackupKeyset } from "../../../migrations/backup/backup-keys.ts";
import { ensureLedger } from "../../../migrations/ledger/schema.ts";
import { sealedKeyId } from "../../../migrations/tink/aead.ts";
import { decodeEncryptedKeyset, encodeKeyset, generateKeyset } from "../../../migrations/tink/keyset.ts";
import { Keyring, KeyringError, type OpenedKeyset } from "../../../migrations/vault/keyring.ts";
import type { Queryable } from "../../../migrations/vault/keyset-table.ts";
import type { Transit } from "../../../migrations/vault/transit.ts";
import { VaultError } from "../../../migrations/vault/vault-error.ts";
import { createDatabase, dropDatabase } from "../../servers.ts";
import { newTenant, shredKek, testMount, testTransit } from "./test-vault.ts";

const ad = Buffer.from("context");
const plain = Buffer.from("hello");

describe("keyring", () => {
  let transit: Transit;
  let pool: pg.Pool;

  before(async () => {
    transit = await testTransit();
    const connectionString = await createDatabase("tink_test");
    pool = new pg.Pool({ connectionString, max: 8 });
    const client = new pg.Client({ connectionString });
    await client.connect();
    await ensureLedger(client);
    await client.end();
  });

  after(async () => {
    await pool.end();
    await dropDatabase("tink_test");
  });

  it("makes one keyset per class, however many begin at once", async () => {
    const tenant = newTenant();
    const rings = Array.from({ length: 8 }, () => ring(tenant));
    const made = await Promise.all(rings.flatMap((each) => [each.ensure("prompt"), each.ensure("prompt")]));
    assert.deepEqual(new Set(made.map((each) => each.version)), new Set([1]));
    assert.equal(new Set(made.map((each) => each.aead.primaryKeyId)).size, 1);
    const [first, last] = [made[0] as OpenedKeyset, made.at(-1) as OpenedKeyset];
    assert.ok(last.aead.open(first.aead.seal(plain, ad), ad).equals(plain));
    const verify = await ring(tenant).ensure("verify");
    assert.notEqual(verify.mac.primaryKeyId, first.aead.primaryKeyId);
    assert.deepEqual(await rowsOf(tenant), [
      ["prompt", 1],
      ["verify", 1],
    ]);
  });

  it("keeps what it sealed readable for another process, with the same keyset", async () => {
    const tenant = newTenant();
    const sealed = (await ring(tenant).ensure("prompt")).aead.seal(plain, ad);
    assert.ok((await ring(tenant).ensure("prompt")).aead.open(sealed, ad).equals(plain));
    assert.ok((await ring(tenant).get("prompt", 1)).aead.open(sealed, ad).equals(plain));
  });

  it("asks neither database nor Vault again while its cache is young, and once for callers at once", async () => {
    const tenant = newTenant();
    await ring(tenant).ensure("prompt");
    const [database, vault] = [counting(pool), countingTransit(transit)];
    const keyring = new Keyring({ client: database, transit: vault.transit, tenant });
    const opened = await Promise.all(Array.from({ length: 20 }, () => keyring.get("prompt")));
    for (let use = 0; use < 20; use++) opened.push(await keyring.get("prompt"));
    assert.equal(new Set(opened).size, 1);
    assert.deepEqual([database.queries, vault.unwraps()], [1, 1]);
  });

  it("asks the database, and not Vault, when its cache is old and the version still the newest", async () => {
    const tenant = newTenant();
    await ring(tenant).ensure("prompt");
    const [database, vault] = [counting(pool), countingTransit(transit)];
    const keyring = new Keyring({ client: database, transit: vault.transit, tenant, cacheAgeMs: 0 });
    const first = await keyring.get("prompt");
    assert.equal((await keyring.get("prompt")).aead, first.aead);
    assert.deepEqual([database.queries, vault.unwraps()], [2, 1]);
    await ring(tenant).addKey("prompt");
    assert.equal((await keyring.get("prompt")).version, 2);
    assert.equal((await keyring.get("prompt", 1)).version, 1);
  });

  it("stops serving a keyset that was deleted, once its cache is old", async () => {
    const tenant = newTenant();
    const keyring = new Keyring({ client: pool, transit, tenant, cacheAgeMs: 0 });
    await keyring.ensure("prompt");
    await pool.query("DELETE FROM rc.keyset WHERE tenant = $1", [tenant]);
    await assert.rejects(keyring.get("prompt"), KeyringError);
  });

  it("adds a key that opens but does not seal, and lets it seal when it is old enough", async () => {
    const tenant = newTenant();
    const keyring = ring(tenant);
    const first = await keyring.ensure("prompt");
    const added = await keyring.addKey("prompt");
    assert.deepEqual([added.version, added.aead.primaryKeyId], [2, first.aead.primaryKeyId]);
    assert.equal((await keyring.addKey("prompt")).version, 2, "a waiting key is followed by no other");
    await assert.rejects(
      keyring.promoteKey("prompt"),
      /key \d+ of keyset prompt is \d+ s old and may seal after 600 s/,
    );
    await pool.query("UPDATE rc.keyset SET created_at = now() - interval '601 s' WHERE tenant = $1", [tenant]);
    const promoted = await keyring.promoteKey("prompt");
    assert.equal(promoted.version, 3);
    assert.notEqual(promoted.aead.primaryKeyId, first.aead.primaryKeyId);
    assert.ok(added.aead.open(promoted.aead.seal(plain, ad), ad).equals(plain));
    assert.ok(promoted.aead.open(first.aead.seal(plain, ad), ad).equals(plain));
    assert.equal((await keyring.promoteKey("prompt")).version, 3, "nothing is left to promote");
  });

  it("adds one key when many add at once", async () => {
    const tenant = newTenant();
    await ring(tenant).ensure("prompt");
    const added = await Promise.all(Array.from({ length: 6 }, () => ring(tenant).addKey("prompt")));
    assert.deepEqual(new Set(added.map((each) => each.version)), new Set([2]));
    assert.deepEqual(await rowsOf(tenant), [
      ["prompt", 1],
      ["prompt", 2],
    ]);
  });

  it("learns a key younger than its cache by looking once, and fails for one that nobody has", async () => {
    const tenant = newTenant();
    const keyring = ring(tenant);
    const old = await keyring.ensure("prompt");
    await ring(tenant).addKey("prompt");
    const young = (await ring(tenant).promoteKey("prompt", 0)).aead.seal(plain, ad);
    assert.equal((await keyring.get("prompt")).version, old.version, "its cache is still young");
    const opened = await keyring.getFor("prompt", sealedKeyId(young) ?? 0);
    assert.ok(opened.aead.open(young, ad).equals(plain));
    assert.equal((await keyring.get("prompt")).version, 3);

    const [database, vault] = [counting(pool), countingTransit(transit)];
    const watched = new Keyring({ client: database, transit: vault.transit, tenant });
    await watched.get("prompt");
    await assert.rejects(watched.getFor("prompt", 0), new RegExp(`tenant ${tenant}: no enabled key .* has the id 0`));
    assert.deepEqual([database.queries, vault.unwraps()], [2, 1]);
  });

  it("stores nothing that Vault does not open to the very same keyset", async () => {
    const tenant = newTenant();
    const lying = {
      ensureKek: () => transit.ensureKek(tenant),
      wrap: () => transit.wrap(tenant, encodeKeyset(generateKeyset())),
      unwrap: (_: string, ciphertext: string) => transit.unwrap(tenant, ciphertext),
    } as unknown as Transit;
    const keyring = new Keyring({ client: pool, transit: lying, tenant });
    await assert.rejects(keyring.ensure("prompt"), /opened the new keyset prompt to something else/);
    assert.deepEqual(await rowsOf(tenant), []);
  });

  it("wraps all keysets anew after a rotation and changes no key", async () => {
    const tenant = newTenant();
    const keyring = ring(tenant);
    const sealed = (await keyring.ensure("prompt")).aead.seal(plain, ad);
    await ensureBackupKeyset(pool, transit, tenant);
    await keyring.addKey("prompt");
    assert.deepEqual(await keyring.rewrapAll(), { rewrapped: 0, unchanged: 3 });
    await transit.rotate(tenant);
    const before = await pool.query(
      "SELECT version, created_at FROM rc.keyset WHERE tenant = $1 ORDER BY class, version",
      [tenant],
    );
    assert.deepEqual(await keyring.rewrapAll(), { rewrapped: 3, unchanged: 0 });
    assert.deepEqual(await keyring.rewrapAll(), { rewrapped: 0, unchanged: 3 });
    const { rows } = await pool.query<{ version: number; encrypted: Buffer; created_at: Date }>(
      "SELECT version, encrypted, created_at FROM rc.keyset WHERE tenant = $1 ORDER BY class, version",
      [tenant],
    );
    assert.ok(rows.every((row) => decodeEncryptedKeyset(row.encrypted).startsWith("vault:v2:")));
    assert.deepEqual(
      rows.map(({ version, created_at }) => ({ version, created_at })),
      before.rows,
    );
    for (const version of [1, 2]) {
      assert.ok((await ring(tenant).get("prompt", version)).aead.open(sealed, ad).equals(plain));
    }
  });

  it("rewraps nothing to what Vault opens to something else", async () => {
    const tenant = newTenant();
    await ring(tenant).ensure("prompt");
    const { rows: before } = await pool.query("SELECT encrypted FROM rc.keyset WHERE tenant = $1", [tenant]);
    await transit.rotate(tenant);
    const lying = Object.assign(await testTransit(), {
      rewrapMany: async () => [await transit.wrap(tenant, encodeKeyset(generateKeyset()))],
    });
    await assert.rejects(new Keyring({ client: pool, transit: lying, tenant }).rewrapAll(), /to something else/);
    const { rows: after } = await pool.query("SELECT encrypted FROM rc.keyset WHERE tenant = $1", [tenant]);
    assert.deepEqual(after, before);
  });

  it("leaves a keyset alone that somebody else wraps anew at the same time", async () => {
    const tenant = newTenant();
    await ring(tenant).ensure("prompt");
    await ring(tenant).ensure("verify");
    await transit.rotate(tenant);
    const results = await Promise.all(Array.from({ length: 4 }, () => ring(tenant).rewrapAll()));
    assert.equal(
      results.reduce((sum, each) => sum + each.rewrapped, 0),
      2,
    );
    assert.equal((await ring(tenant).get("prompt")).version, 1);
  });

  it("rewraps nothing for a tenant without keysets, and makes no KEK for it", async () => {
    const tenant = newTenant();
    assert.deepEqual(await ring(tenant).rewrapAll(), { rewrapped: 0, unchanged: 0 });
    assert.equal(await transit.findKek(tenant), undefined);
  });

  it("names the tenant when the KEK of its keysets is missing, and makes no other one", async () => {
    const tenant = newTenant();
    await ring(tenant).ensure("prompt");
    await shredKek(tenant);
    const keyring = ring(tenant);
    const attempts = [
      () => keyring.get("prompt"),
      () => keyring.ensure("prompt"),
      () => keyring.ensure("verify"),
      () => keyring.addKey("prompt"),
      () => keyring.rewrapAll(),
    ];
    for (const attempt of attempts) {
      await assert.rejects(attempt, (error) => {
        assert.ok(error instanceof VaultError, inspect(error));
        assert.equal(error.reason, "missing-key");
        return error.message.startsWith(`tenant ${tenant}: the KEK kek-${tenant} `);
      });
    }
    assert.equal(await transit.findKek(tenant), undefined);
    assert.deepEqual(await rowsOf(tenant), [["prompt", 1]]);
  });

  it("names tenant, class and version of a keyset that is not there", async () => {
    const tenant = newTenant();
    const keyring = ring(tenant);
    const named = (end: string) => new RegExp(`^KeyringError: tenant ${tenant} has no keyset ${end} in rc.keyset`);
    await assert.rejects(keyring.get("prompt"), named("prompt"));
    await assert.rejects(keyring.addKey("verify"), named("verify"));
    await keyring.ensure("prompt");
    await assert.rejects(keyring.get("prompt", 2), named("prompt version 2"));
    assert.equal((await keyring.get("prompt")).version, 1);
  });

  it("tries again after a failure instead of remembering it", async () => {
    const tenant = newTenant();
    await ring(tenant).ensure("prompt");
    let isDown = true;
    const client: Queryable = {
      query: (text, values) => (isDown ? Promise.reject(new Error("down")) : pool.query(text, values)),
    };
    const keyring = new Keyring({ client, transit, tenant });
    await assert.rejects(keyring.get("prompt"), /down/);
    isDown = false;
    assert.equal((await keyring.get("prompt")).version, 1);
  });

  it("refuses a keyset moved from one tenant to another", async () => {
    const [tenant, thief] = [newTenant(), newTenant()];
    await ring(tenant).ensure("prompt");
    await ring(thief).ensure("verify");
    await pool.query("INSERT INTO rc.keyset SELECT $2, class, version, encrypted FROM rc.keyset WHERE tenant = $1", [
      tenant,
      thief,
    ]);
    await assert.rejects(
      ring(thief).get("prompt"),
      (error) => error instanceof VaultError && error.reason === "not-authentic",
    );
  });

  it("is printed without keys or credentials", async () => {
    const tenant = newTenant();
    const keyring = ring(tenant);
    await keyring.ensure("prompt");
    assert.equal(inspect(keyring, { depth: 9, showHidden: true }), `Keyring(tenant ${tenant}, prompt)`);
    assert.match(
      inspect(await keyring.get("prompt"), { depth: 9 }),
      /^\{ version: 1, aead: Aead\(primary \d+, keys \d+\) \}$/,
    );
    assert.match(inspect(transit), new RegExp(`^Transit\\(${testMount} at http`));
  });

  function ring(tenant: string): Keyring {
    return new Keyring({ client: pool, transit, tenant });
  }

  async function rowsOf(tenant: string): Promise<[string, number][]> {
    const { rows } = await pool.query<{ class: string; version: number }>(
      "SELECT class, version FROM rc.keyset WHERE tenant = $1 ORDER BY 1, 2",
      [tenant],
    );
    return rows.map((row) => [row.class, row.version]);
  }
});

function counting(client: Queryable): Queryable & { queries: number } {
  const counted = {
    queries: 0,
    query: (text: string, values: unknown[]) => {
      counted.queries += 1;
      return client.query(text, values);
    },
  };
  return counted;
}

function countingTransit(transit: Transit): { transit: Transit; unwraps: () => number } {
  let unwraps = 0;
  const counted = {
    unwrap: (tenant: string, ciphertext: string) => ((unwraps += 1), transit.unwrap(tenant, ciphertext)),
  };
  return { transit: counted as unknown as Transit, unwraps: () => unwraps };
}
