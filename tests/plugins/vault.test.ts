import assert from "node:assert/strict";
import { getVault } from "../servers.ts";
import { faultsOfState } from "./official-sdk.ts";
import { ProgramStack } from "./program-stack.ts";

interface Options {
  readonly rules?: string;
  readonly ttl?: number;
  readonly description?: string;
  readonly metadata?: string;
}

function program(auditFile: string, options: Options = {}): string {
  const { address, token } = getVault();
  return `
    import * as pulumi from "@pulumi/pulumi";
    import * as vault from "@pulumi/vault";
    const provider = new vault.Provider("server", { address: "${address}", token: "${token}" });
    const child = { provider };
    const transit = new vault.Mount("transit", {
      path: "plg-transit", type: "transit", description: "${options.description ?? "keys"}",
    }, child);
    new vault.Mount("kv", { path: "plg-kv", type: "kv-v2" }, child);
    const policy = new vault.Policy("policy", {
      name: "plg-policy",
      policy: pulumi.interpolate\`path "\${transit.path}/encrypt/*" { capabilities = ["${options.rules ?? "update"}"] }\`,
    }, child);
    const backend = new vault.AuthBackend("backend", { type: "approle", path: "plg-approle" }, child);
    const role = new vault.approle.AuthBackendRole("role", {
      backend: backend.path, roleName: "plg-role", tokenPolicies: [policy.name], tokenTtl: ${options.ttl ?? 600}, secretIdTtl: 3600,
    }, child);
    const secretId = new vault.approle.AuthBackendRoleSecretId("secret", {
      backend: backend.path, roleName: role.roleName, ${options.metadata === undefined ? "" : `metadata: '${options.metadata}'`}
    }, child);
    new vault.Audit("audit", { type: "file", path: "plg-audit", options: { file_path: "${auditFile}" } }, child);
    export const roleId = role.roleId;
    export const secret = secretId.secretId;
    export const accessor = transit.accessor;
  `;
}

describe("stand-in of the vault plugin", function () {
  this.timeout(180_000);
  let stack: ProgramStack;
  let auditFile: string;

  before(async () => {
    stack = await ProgramStack.create();
    // Standard output of the server: a place that any server user can write.
    auditFile = "stdout";
  });

  after(async () => {
    await stack.destroy();
    await stack.remove();
  });

  it("makes mounts, a policy, a login method with a role and a secret id, and an audit device; then finds nothing to do", async () => {
    const run = await stack.up(program(auditFile));
    assert.deepEqual(run.summary, { create: 9 }, run.text);
    const { roleId, secret, accessor } = await stack.outputs();
    const login = await call("auth/plg-approle/login", "POST", { role_id: roleId, secret_id: secret });
    assert.deepEqual((login["auth"] as { policies: string[] }).policies, ["default", "plg-policy"]);
    const mounts = (await call("sys/mounts"))["data"] as Record<string, { type: string; accessor: string }>;
    assert.equal(mounts["plg-transit/"]?.accessor, accessor);
    assert.equal(mounts["plg-kv/"]?.type, "kv");
    assert.ok("plg-audit/" in ((await call("sys/audit"))["data"] as object));

    assert.deepEqual((await stack.up(program(auditFile))).summary, { same: 9 });
    assert.deepEqual((await stack.refresh()).summary, { same: 9 });
    assert.equal((await stack.outputs())["secret"], secret);
  });

  it("returns what the official SDK's types say, no output more, none less, and secret what is secret there", async () => {
    const resources = await stack.resources();
    assert.ok(resources.length > 5);
    assert.deepEqual(resources.flatMap(faultsOfState), []);
  });

  it("writes ids as the official plugin does, and neither token nor secret id in clear", async () => {
    const { secret } = await stack.outputs();
    const { outputs } = await stack.getResource("secret");
    const ids = (await stack.resources()).map(({ urn, id }) => [urn.split("::").at(-1), id]);
    assert.deepEqual(Object.fromEntries(ids), {
      transit: "plg-transit",
      kv: "plg-kv",
      policy: "plg-policy",
      backend: "plg-approle",
      role: "auth/plg-approle/role/plg-role",
      secret: `backend=plg-approle::role=plg-role::accessor=${String(outputs["accessor"])}`,
      audit: "plg-audit",
    });
    const file = await stack.stateFile();
    assert.ok(!file.includes(String(secret)));
    assert.ok(!file.includes(getVault().token));
  });

  it("changes a policy, a role and a description in place", async () => {
    const changed = { rules: "read", ttl: 300, description: "other keys" };
    const run = await stack.up(program(auditFile, changed));
    assert.deepEqual(run.summary, { same: 6, update: 3 }, run.text);
    const policy = (await call("sys/policies/acl/plg-policy"))["data"] as { policy: string };
    assert.match(policy.policy, /"read"/);
    const role = (await call("auth/plg-approle/role/plg-role"))["data"] as {
      token_ttl: number;
      token_policies: string[];
    };
    assert.equal(role.token_ttl, 300);
    assert.deepEqual(role.token_policies, ["plg-policy"]);
    const mounts = (await call("sys/mounts"))["data"] as Record<string, { description: string }>;
    assert.equal(mounts["plg-transit/"]?.description, "other keys");
    assert.deepEqual((await stack.up(program(auditFile, changed))).summary, { same: 9 });
  });

  it("replaces a secret id whose metadata changes, and the old one logs in no more", async () => {
    const old = await stack.outputs();
    const changed = { rules: "read", ttl: 300, description: "other keys", metadata: '{"b": "2", "a": "1"}' };
    const run = await stack.up(program(auditFile, changed));
    assert.deepEqual(run.summary, { same: 8, replace: 1 }, run.text);
    const { secret, roleId } = await stack.outputs();
    assert.notEqual(secret, old["secret"]);
    const body = { role_id: roleId, secret_id: old["secret"] };
    await assert.rejects(call("auth/plg-approle/login", "POST", body), /invalid role or secret ID/);
    assert.deepEqual((await stack.up(program(auditFile, changed))).summary, { same: 9 });
  });

  it("sees in a refresh what somebody changed or removed, and brings it back", async () => {
    const changed = { rules: "read", ttl: 300, description: "other keys", metadata: '{"b": "2", "a": "1"}' };
    await call("sys/policies/acl/plg-policy", "POST", { policy: 'path "x" { capabilities = ["read"] }' });
    await call("sys/audit/plg-audit", "DELETE");
    const refreshed = await stack.refresh();
    assert.deepEqual(refreshed.summary, { same: 7, update: 1, delete: 1 }, refreshed.text);
    assert.deepEqual((await stack.up(program(auditFile, changed))).summary, { same: 7, update: 1, create: 1 });
    assert.match(JSON.stringify((await call("sys/policies/acl/plg-policy"))["data"]), /encrypt/);
  });

  it("refuses a mount that exists and names the import that mends it; the import reads it", async () => {
    await call("sys/mounts/plg-stranger", "POST", { type: "transit", description: "found" });
    try {
      const stranger = `new vault.Mount("stranger", { path: "plg-stranger", type: "transit", description: "found" }`;
      const changed = { rules: "read", ttl: 300, description: "other keys", metadata: '{"b": "2", "a": "1"}' };
      const refused = await stack.up(program(auditFile, changed) + `${stranger}, child);`);
      assert.notEqual(refused.exitCode, 0);
      assert.match(refused.text, /pulumi import vault:index\/mount:Mount plg-stranger plg-stranger/);
      const imported = await stack.up(
        program(auditFile, changed) + `${stranger}, { ...child, import: "plg-stranger" });`,
      );
      assert.deepEqual(imported.summary, { same: 9, import: 1 }, imported.text);
    } finally {
      await call("sys/mounts/plg-stranger", "DELETE");
    }
  });

  it("refuses in the preview what it does not serve", async () => {
    const run = await stack.preview(
      program(auditFile) + `new vault.Mount("more", { path: "plg-more", type: "kv", pluginVersion: "v1" }, child);`,
    );
    assert.notEqual(run.exitCode, 0);
    assert.match(run.text, /does not serve \\*"pluginVersion/);
    assert.match(run.text, /pulumi plugin install resource vault 7\.8\.0/);
  });

  it("removes all of it", async () => {
    const run = await stack.destroy();
    assert.equal(run.exitCode, 0, run.text);
    const mounts = Object.keys((await call("sys/mounts"))["data"] as object);
    assert.deepEqual(
      mounts.filter((path) => path.startsWith("plg-")),
      [],
    );
    assert.ok(!("plg-approle/" in ((await call("sys/auth"))["data"] as object)));
  });
});

async function call(path: string, method = "GET", body?: unknown): Promise<Record<string, unknown>> {
  const { address, token } = getVault();
  const response = await fetch(`${address}/v1/${path}`, {
    method,
    headers: { "X-Vault-Token": token },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
}
