import assert from "node:assert/strict";
import { inspect } from "node:util";
import { kekName, Transit } from "../../../migrations/vault/transit.ts";
import { VaultError, type VaultFailure } from "../../../migrations/vault/vault-error.ts";
import { getVault } from "../../servers.ts";
import { askVault, newTenant, shredKek, testMount, testTransit } from "./test-vault.ts";

describe("transit", () => {
  const secret = Buffer.from("SECRET-PLAINTEXT-SECRET-PLAINTEXT");
  let transit: Transit;

  before(async () => {
    transit = await testTransit();
  });

  it("makes a KEK that can be neither exported nor deleted, once, for many callers at once", async () => {
    const tenant = newTenant();
    assert.equal(await transit.findKek(tenant), undefined);
    const keks = await Promise.all(Array.from({ length: 12 }, () => transit.ensureKek(tenant)));
    for (const { latestVersionAt, ...kek } of keks) {
      assert.ok(Math.abs(Date.now() - latestVersionAt.getTime()) < 3_600_000);
      assert.deepEqual(kek, {
        name: kekName(tenant),
        latestVersion: 1,
        minDecryptionVersion: 1,
        isDeletionAllowed: false,
      });
    }
    const { data } = await askVault("GET", `${testMount}/keys/kek-${tenant}`);
    assert.equal(data["type"], "aes256-gcm96");
    for (const property of ["exportable", "derived", "deletion_allowed", "allow_plaintext_backup"]) {
      assert.equal(data[property], false, property);
    }
  });

  it("opens what it wrapped before a later ensureKek", async () => {
    const tenant = await tenantWithKek();
    const wrapped = await transit.wrap(tenant, secret);
    await transit.ensureKek(tenant);
    assert.ok((await transit.unwrap(tenant, wrapped)).equals(secret));
  });

  it("refuses a KEK that is exportable, derived, of another type or about to be deleted", async () => {
    const unsafe: [body: object, fault: RegExp][] = [
      [{ type: "aes256-gcm96", exportable: true }, /exportable = true/],
      [{ type: "aes256-gcm96", derived: true }, /derived = true/],
      [{ type: "chacha20-poly1305" }, /is not of type aes256-gcm96/],
    ];
    for (const [body, fault] of unsafe) {
      const tenant = newTenant();
      await askVault("POST", `${testMount}/keys/kek-${tenant}`, body);
      assert.match((await refusal(transit.ensureKek(tenant), "unsafe-key")).message, fault);
    }
    const tenant = await tenantWithKek();
    await askVault("POST", `${testMount}/keys/kek-${tenant}/config`, { deletion_allowed: true });
    assert.match((await refusal(transit.ensureKek(tenant), "unsafe-key")).message, /may be deleted/);
  });

  it("wraps and opens many, in their order, beyond one batch", async () => {
    const tenant = await tenantWithKek();
    const plains = Array.from({ length: 1203 }, (_, index) => Buffer.from(`value ${index}`));
    const wrapped = await transit.wrapMany(tenant, plains);
    assert.equal(new Set(wrapped).size, plains.length);
    assert.deepEqual(await transit.unwrapMany(tenant, wrapped), plains);
    await transit.rotate(tenant);
    const rewrapped = await transit.rewrapMany(tenant, wrapped);
    assert.ok(rewrapped.every((each) => each.startsWith("vault:v2:")));
    assert.deepEqual(await transit.unwrapMany(tenant, rewrapped), plains);
    assert.deepEqual(await transit.wrapMany(tenant, []), []);
  });

  it("wraps the bytes of a view, not those around it", async () => {
    const tenant = await tenantWithKek();
    const wrapped = await transit.wrap(tenant, secret.subarray(7, 16));
    assert.equal((await transit.unwrap(tenant, wrapped)).toString(), "PLAINTEXT");
  });

  it("never makes a KEK by wrapping, as Vault's encrypt would", async () => {
    const tenant = newTenant();
    await refusal(transit.wrap(tenant, secret), "missing-key");
    assert.equal(await transit.findKek(tenant), undefined);
  });

  it("names the tenant when its KEK is missing, whatever is asked", async () => {
    const tenant = await tenantWithKek();
    const wrapped = await transit.wrap(tenant, secret);
    await shredKek(tenant);
    const attempts = [
      () => transit.wrap(tenant, secret),
      () => transit.unwrap(tenant, wrapped),
      () => transit.rewrap(tenant, wrapped),
      () => transit.rotate(tenant),
      () => transit.getKek(tenant),
    ];
    for (const attempt of attempts) {
      const { message } = await refusal(attempt(), "missing-key");
      assert.ok(message.startsWith(`tenant ${tenant}: the KEK kek-${tenant} in ${testMount} `), message);
    }
  });

  it("tells a ciphertext of another tenant, of a retired version and of a version to come from one another", async () => {
    const [tenant, other] = [await tenantWithKek(), await tenantWithKek()];
    const wrapped = await transit.wrap(tenant, secret);
    await refusal(transit.unwrap(other, wrapped), "not-authentic");
    await refusal(transit.unwrap(tenant, "not wrapped"), "not-authentic");
    await refusal(transit.unwrap(tenant, wrapped.replace("vault:v1:", "vault:v5:")), "too-new");
    await transit.rotate(tenant);
    await askVault("POST", `${testMount}/keys/kek-${tenant}/config`, { min_decryption_version: 2 });
    await refusal(transit.unwrap(tenant, wrapped), "too-old");
    await refusal(transit.unwrapMany(tenant, [await transit.wrap(tenant, secret), wrapped]), "too-old");
  });

  it("says that the mount is missing, and how it comes", async () => {
    const elsewhere = new Transit({ ...getVault(), mount: "transit-nowhere" });
    const { message } = await refusal(elsewhere.findKek("acme"), "missing-mount");
    assert.match(message, /present\.vault/);
  });

  it("refuses tenants and mounts that would leave their path", async () => {
    for (const tenant of ["", "../keys", "acme/rotate", "Acme", "a b", "a"]) {
      await assert.rejects(transit.wrap(tenant, secret), TypeError);
    }
    for (const mount of ["", "/", "a//b", "a b", "a?b"]) {
      assert.throws(() => new Transit({ ...getVault(), mount }), TypeError);
    }
  });

  it("shows neither token nor plaintext in errors or when printed", async () => {
    const tenant = await tenantWithKek();
    const wrapped = await transit.wrap(tenant, secret);
    const failures = [
      await refusal(transit.wrap(newTenant(), secret), "missing-key"),
      await refusal(transit.unwrap(await tenantWithKek(), wrapped), "not-authentic"),
      await refusal(
        new Transit({ ...getVault(), token: "hvs.WRONG-TOKEN", mount: testMount }).wrap(tenant, secret),
        "denied",
      ),
      transit,
    ];
    for (const failure of failures) {
      const text = inspect(failure, { depth: 9, showHidden: true });
      for (const hidden of [
        getVault().token,
        "WRONG-TOKEN",
        "PLAINTEXT",
        secret.toString("base64").slice(0, 20),
        wrapped,
      ]) {
        assert.ok(!text.includes(hidden), "a secret in a text");
      }
    }
  });

  async function tenantWithKek(): Promise<string> {
    const tenant = newTenant();
    await transit.ensureKek(tenant);
    return tenant;
  }
});

async function refusal(attempt: Promise<unknown>, reason: VaultFailure): Promise<VaultError> {
  const error = await attempt.then(
    () => assert.fail(`did what it must refuse as ${reason}`),
    (failure: unknown) => failure,
  );
  assert.ok(error instanceof VaultError, inspect(error));
  assert.equal(error.reason, reason, error.message);
  return error;
}
