import assert from "node:assert/strict";
import { inspect } from "node:util";
import { VaultSession, type VaultAccess } from "../../../migrations/vault/session.ts";
import { VaultError, type VaultFailure } from "../../../migrations/vault/vault-error.ts";
import { getVault } from "../../servers.ts";
import { StandInVault, type Reply } from "./stand-in-vault.ts";
import { askVault, ensureMounted } from "./test-vault.ts";

const fine: Reply = { status: 200, body: { data: { value: 1 } } };
const loggedIn = (token: string): Reply => ({ status: 200, body: { auth: { client_token: token } } });
const forbidden: Reply = { status: 403, body: { errors: ["permission denied"] } };

describe("a session with Vault", () => {
  const passing: Reply[] = ["reset", ...[412, 429, 500, 502, 503, 504].map((status) => ({ status }))];
  for (const reply of passing) {
    it(`tries again after ${inspect(reply)}`, async () => {
      await using vault = await StandInVault.start([reply, reply, fine]);
      const answer = await session(vault.address, { deadlineMs: 60_000 }).request("POST", "any", { a: 1 });
      assert.deepEqual(answer, { status: 200, data: { value: 1 }, errors: [] });
      assert.equal(vault.requests.length, 3);
      assert.ok(vault.requests.every(({ path, body }) => path === "/v1/any" && body === '{"a":1}'));
    });
  }

  it("tries 400, 403 and 404 once", async () => {
    for (const status of [400, 403, 404]) {
      await using vault = await StandInVault.start([{ status, body: { errors: ["x"] } }, fine]);
      const asked = session(vault.address).request("GET", "any");
      if (status === 403) await refusal(asked, "denied");
      else assert.equal((await asked).status, status);
      assert.equal(vault.requests.length, 1);
    }
  });

  const endings: [reply: Reply, reason: VaultFailure, mend: RegExp][] = [
    [{ status: 503, body: { errors: ["Vault is sealed"] } }, "sealed", /vault operator unseal/],
    [{ status: 501, body: { errors: ["Vault is not initialized"] } }, "sealed", /vault operator init/],
    [{ status: 429, body: { errors: ["slow down"] } }, "overloaded", /HTTP 429.*vault status/],
    ["reset", "unreachable", /curl .*\/v1\/sys\/health/],
    ["silence", "unreachable", /no answer in time/],
    [{ status: 200, body: "<html>proxy</html>" }, "refused", /not as Vault does/],
    [{ status: 405, body: {} }, "refused", /HTTP 405/],
  ];
  for (const [reply, reason, mend] of endings) {
    it(`ends ${reason} with its mend after ${inspect(reply, { breakLength: Infinity })} until the deadline`, async () => {
      await using vault = await StandInVault.start([reply]);
      const error = await refusal(session(vault.address, { deadlineMs: 200 }).request("GET", "any"), reason);
      assert.match(error.message, mend);
      assert.equal(error.isTransient, reason !== "refused");
    });
  }

  it("says what it may not do", async () => {
    await using vault = await StandInVault.start([forbidden]);
    const error = await refusal(session(vault.address).request("POST", "transit-x/encrypt/kek-acme", {}), "denied");
    assert.match(error.message, /path "transit-x\/encrypt\/kek-acme" \{ capabilities = \["update"\] \}/);
  });

  it("logs in once for callers at once, and again when its token has gone", async () => {
    await using vault = await StandInVault.start([loggedIn("one"), fine, fine, forbidden, loggedIn("two"), fine]);
    const byRole = new VaultSession({ address: vault.address, appRole: { roleId: "role", secretId: "secret" } });
    await Promise.all([byRole.request("GET", "a"), byRole.request("GET", "b")]);
    await byRole.request("GET", "c");
    const seen = vault.requests.map(({ path, token }) => [path, token]);
    assert.deepEqual(seen[0], ["/v1/auth/approle/login", undefined]);
    assert.deepEqual(
      seen.slice(1, 3).map(([, token]) => token),
      ["one", "one"],
    );
    assert.deepEqual(seen.slice(3), [
      ["/v1/c", "one"],
      ["/v1/auth/approle/login", undefined],
      ["/v1/c", "two"],
    ]);
    assert.equal(vault.requests[0]?.body, '{"role_id":"role","secret_id":"secret"}');
  });

  it("shares one new login among callers whose token has gone", async () => {
    const tokens = ["one", "two", "three", "four"];
    await using vault = await StandInVault.start(({ path, token }) => {
      if (path.endsWith("/login")) return loggedIn(tokens.shift() ?? "");
      return token === "one" ? forbidden : fine;
    });
    const byRole = new VaultSession({ address: vault.address, appRole: { roleId: "role", secretId: "secret" } });
    await Promise.all(["a", "b", "c", "d"].map((path) => byRole.request("GET", path)));
    assert.deepEqual(tokens, ["three", "four"]);
  });

  it("stops after one new login that does not help", async () => {
    await using vault = await StandInVault.start([loggedIn("one"), forbidden, loggedIn("two"), forbidden]);
    const byRole = new VaultSession({ address: vault.address, appRole: { roleId: "role", secretId: "secret" } });
    await refusal(byRole.request("GET", "a"), "denied");
    assert.equal(vault.requests.length, 4);
  });

  it("logs in after a login that failed", async () => {
    const wrong: Reply = { status: 400, body: { errors: ["invalid role or secret ID"] } };
    await using vault = await StandInVault.start([wrong, loggedIn("one"), fine]);
    const byRole = new VaultSession({ address: vault.address, appRole: { roleId: "role", secretId: "TOP-SECRET" } });
    const error = await refusal(byRole.request("GET", "a"), "denied");
    assert.match(error.message, /secret-id/);
    assert.ok(!inspect(error, { showHidden: true }).includes("TOP-SECRET"));
    assert.equal((await byRole.request("GET", "a")).status, 200);
  });

  it("renews a real AppRole's token when its uses are spent", async () => {
    await ensureMounted("auth/approle-tinktest", { type: "approle" });
    const role = "auth/approle-tinktest/role/two-uses";
    await askVault("POST", role, { token_policies: ["default"], token_num_uses: 2 });
    const roleId = (await askVault("GET", `${role}/role-id`)).data["role_id"] as string;
    const secretId = (await askVault("POST", `${role}/secret-id`, {})).data["secret_id"] as string;
    const byRole = new VaultSession({
      address: getVault().address,
      appRole: { roleId, secretId, mount: "approle-tinktest" },
    });
    const accessors = new Set<unknown>();
    for (let use = 0; use < 5; use++) {
      accessors.add((await byRole.request("GET", "auth/token/lookup-self")).data["accessor"]);
    }
    assert.equal(accessors.size, 3);
  });

  it("refuses an address or a credential that cannot be right, without showing it", () => {
    const wrong: VaultAccess[] = [
      { address: "vault:8200", token: "hvs.SECRET" },
      { address: "", token: "hvs.SECRET" },
      { address: "https://user:SECRET@vault:8200", token: "hvs.SECRET" },
      { address: "https://vault:8200" },
      { address: "https://vault:8200", token: "" },
      { address: "https://vault:8200", token: "hvs.SECRET", appRole: { roleId: "a", secretId: "SECRET" } },
    ];
    for (const access of wrong) {
      assert.throws(
        () => new VaultSession(access),
        (error) => error instanceof TypeError && /RC_VAULT_/.test(error.message) && !inspect(error).includes("SECRET"),
      );
    }
  });

  it("is printed without its credential", () => {
    const text = inspect(session("http://vault:8200"), { depth: 9, showHidden: true });
    assert.equal(text, "VaultSession(http://vault:8200, token)");
  });
});

function session(address: string, more: Partial<VaultAccess> = {}): VaultSession {
  return new VaultSession({ address, token: "hvs.token", ...more });
}

async function refusal(attempt: Promise<unknown>, reason: VaultFailure): Promise<VaultError> {
  const error = await attempt.then(
    () => assert.fail(`did what it must refuse as ${reason}`),
    (failure: unknown) => failure,
  );
  assert.ok(error instanceof VaultError, inspect(error));
  assert.equal(error.reason, reason, error.message);
  return error;
}
