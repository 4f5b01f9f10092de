import assert from "node:assert/strict";
import { inspect } from "node:util";
import { BadReferenceError, resolveReference, resolveReferenceAsync } from "../../migrations/reference.ts";
import { VaultError } from "../../migrations/vault/vault-error.ts";
import { getVault } from "../servers.ts";
import { askVault, ensureMounted } from "./vault/test-vault.ts";

describe("a reference", () => {
  const variable = "RC_TEST_REFERENCE";

  before(async () => {
    await ensureMounted("mounts/kv-tinktest", { type: "kv", options: { version: "2" } });
    await askVault("POST", "kv-tinktest/data/platform/db", { data: { password: "from-vault", port: 5432 } });
  });

  afterEach(() => {
    delete process.env[variable];
  });

  it("to the environment gives the variable's value", async () => {
    process.env[variable] = "postgresql://u:p@h/db";
    assert.equal(resolveReference(`env:${variable}`), "postgresql://u:p@h/db");
    assert.equal(await resolveReferenceAsync(`env:${variable}`), "postgresql://u:p@h/db");
  });

  it("to a variable that is unset or empty fails with its name and the mend", () => {
    assert.throws(() => resolveReference(`env:${variable}`), /RC_TEST_REFERENCE is not set; .*source \.local\/env/);
    process.env[variable] = "";
    assert.throws(() => resolveReference(`env:${variable}`), /RC_TEST_REFERENCE is empty; .*source \.local\/env/);
  });

  it("to Vault gives the field of the secret", async () => {
    assert.equal(await resolveReferenceAsync("vault:kv-tinktest/platform/db#password", getVault()), "from-vault");
  });

  it("to a secret or field that is not there fails with the command that writes it", async () => {
    for (const [path, field] of [
      ["kv-tinktest/platform/none", "password"],
      ["kv-tinktest/platform/db", "user"],
      ["kv-tinktest/platform/db", "port"],
    ]) {
      await assert.rejects(resolveReferenceAsync(`vault:${path}#${field}`, getVault()), (error) => {
        assert.ok(error instanceof VaultError);
        return error.reason === "missing-key" && error.message.includes(`vault kv patch ${path} ${field}=-`);
      });
    }
  });

  it("to Vault is refused where there is none, or where nobody can wait for it", async () => {
    const reference = "vault:kv-tinktest/platform/db#password";
    await assert.rejects(resolveReferenceAsync(reference), /needs a Vault/);
    assert.throws(() => resolveReference(reference), /only env: references/);
  });

  it("is never a literal, which is not shown", async () => {
    const literals = [
      "SECRET",
      "postgresql://u:SECRET@h/db",
      "env:",
      "env:SECRET-1",
      "env:postgres://u:SECRET@h",
      "vault:SECRET",
    ];
    literals.push(
      "",
      "vault:SECRET/db",
      "vault:SECRET#a",
      "vault:kv/../SECRET#a",
      "vault:kv/SECRET?b#a",
      " env:SECRET",
      "ENV:SECRET",
    );
    for (const literal of literals) {
      const isRefused = (error: unknown) => {
        assert.ok(error instanceof BadReferenceError, literal);
        return !inspect(error, { showHidden: true }).split("\n    at ")[0]?.includes("SECRET");
      };
      assert.throws(() => resolveReference(literal), isRefused, literal);
      await assert.rejects(resolveReferenceAsync(literal, getVault()), isRefused, literal);
    }
  });
});
