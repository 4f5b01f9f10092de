import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { FastifyInstance } from "fastify";
import pg from "pg";
import { associatedData } from "../../migrations/tink/associated-data.ts";
import { Keyring } from "../../migrations/vault/keyring.ts";
import { Transit } from "../../migrations/vault/transit.ts";
import { getVault } from "../servers.ts";
import { runAcceptance } from "./acceptance.ts";
import { agentOrchestrator } from "./agent-orchestrator.ts";
import { openSealedBodies } from "./body-store-sealed.ts";
import { ContractDatabases } from "./contract-database.ts";
import { knowledgeRag } from "./knowledge-rag.ts";
import { platformApi } from "./platform-api.ts";
import { type AddRoutes, buildService } from "./service.ts";
import { ServiceClient } from "./service-client.ts";

const R2 = { release: "r2", pin: "r2@000000000002" };
const R1 = { release: "r1", pin: "r1@000000000001" };

describe("the services of release r2", function () {
  this.timeout(60_000);
  const databases = new ContractDatabases();
  const run = randomBytes(4).toString("hex");
  const tenant = `sealed-${run}`;
  const mount = `transit-wl-${run}`;
  const apps: FastifyInstance[] = [];
  let admin: pg.Pool;
  let transit: Transit;
  let credentials: { roleId: string; secretId: string };
  let urls: { prompts: string; conversations: string; search: string };

  const askVault = async (method: string, path: string, body?: object): Promise<{ data: Record<string, string> }> => {
    const { address, token } = getVault();
    const answer = await fetch(`${address}/v1/${path}`, {
      method,
      headers: { "X-Vault-Token": token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return (text === "" ? { data: {} } : JSON.parse(text)) as { data: Record<string, string> };
  };
  const listen = async (service: string, routes: AddRoutes): Promise<string> => {
    const settings = {
      service,
      ...R2,
      port: 0,
      databaseUrl: databases.databaseUrl("r2"),
      registryUrl: databases.registryUrl("r2"),
      environment: "test",
      vault: { address: getVault().address, ...credentials, transitMount: mount },
    };
    const app = buildService(settings, routes, openSealedBodies);
    apps.push(app);
    return await app.listen({ host: "127.0.0.1", port: 0 });
  };

  before(async () => {
    await databases.createRoles(["r1", "r2"]);
    await databases.createRegistry();
    await databases.createTenant(tenant, R1);
    await databases.serve(tenant, R2, "sealed");
    admin = new pg.Pool({ connectionString: databases.adminUrl(tenant), max: 2 });
    // Dropping the database at the end cuts what is idle here.
    admin.on("error", () => undefined);
    await askVault("POST", `sys/mounts/${mount}`, { type: "transit" });
    await askVault("POST", "sys/auth/approle", { type: "approle" });
    const policy = `path "${mount}/decrypt/kek-*" { capabilities = ["update"] }`;
    await askVault("POST", `sys/policies/acl/${mount}`, { policy });
    await askVault("POST", `auth/approle/role/${mount}`, { token_policies: [mount] });
    const { data: role } = await askVault("GET", `auth/approle/role/${mount}/role-id`);
    const { data: secret } = await askVault("POST", `auth/approle/role/${mount}/secret-id`);
    credentials = { roleId: role.role_id as string, secretId: secret.secret_id as string };
    transit = new Transit({ ...getVault(), mount });
    await new Keyring({ client: admin, transit, tenant }).ensure("prompt");
    urls = {
      prompts: await listen("platform-api", platformApi),
      conversations: await listen("agent-orchestrator", agentOrchestrator),
      search: await listen("knowledge-rag", knowledgeRag),
    };
  });
  after(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await admin?.end();
    await databases.drop();
    await askVault("DELETE", `auth/approle/role/${mount}`);
    await askVault("DELETE", `sys/mounts/${mount}`);
    await askVault("DELETE", `sys/policies/acl/${mount}`);
  });

  it("keep the same contract as r1, and agree with a model", async () => {
    const report = await runAcceptance({ baseUrl: urls, tenant, operations: 300, seed: 2 });
    assert.deepEqual(
      report.checks.filter((check) => check.failure !== undefined),
      [],
    );
  });

  it("store Tink ciphertext and not the text", async () => {
    const client = new ServiceClient(urls, tenant);
    const { id } = (await client.createPrompt("seal-1", { title: "t", body: "the quick brown secret" })).json;
    const [row] = (await admin.query("SELECT body FROM prompt_bodies_sealed WHERE prompt_id = $1", [id])).rows;
    assert.equal(row.body[0], 1);
    assert.equal(row.body.length, Buffer.byteLength("the quick brown secret") + 33);
    assert.ok(!row.body.includes("secret"));
    assert.equal((await admin.query("SELECT 1 FROM prompt_bodies")).rowCount, 0);
  });

  it("do not open a ciphertext that was moved to another record, and say nothing of it", async () => {
    const client = new ServiceClient(urls, tenant);
    const one = (await client.createPrompt("move-1", { title: "t", body: "one" })).json.id;
    const two = (await client.createPrompt("move-2", { title: "t", body: "two" })).json.id;
    await admin.query(
      "UPDATE prompt_bodies_sealed SET body = (SELECT body FROM prompt_bodies_sealed WHERE prompt_id = $1) WHERE prompt_id = $2",
      [one, two],
    );
    const answer = await client.getPrompt(two);
    assert.deepEqual([answer.status, answer.json], [500, { error: "internal", message: "unexpected failure" }]);
    await client.deletePrompt(two);
  });

  it("learn a key that is younger than their cache, once, from the database", async () => {
    const client = new ServiceClient(urls, tenant);
    const { id } = (await client.createPrompt("key-1", { title: "t", body: "under a new key" })).json;
    const keyring = new Keyring({ client: admin, transit, tenant });
    await keyring.addKey("prompt");
    const { aead } = await keyring.promoteKey("prompt", 0);
    const sealed = aead.seal(Buffer.from("under a new key"), associatedData("test", tenant, "prompt.body", id));
    await admin.query("UPDATE prompt_bodies_sealed SET body = $2 WHERE prompt_id = $1", [id, sealed]);
    assert.equal((await client.getPrompt(id)).json.body, "under a new key");
    // A key that is in no keyset stays a fault.
    await admin.query(
      "UPDATE prompt_bodies_sealed SET body = set_byte(set_byte(body, 1, 0), 2, 0) WHERE prompt_id = $1",
      [id],
    );
    assert.equal((await client.getPrompt(id)).status, 500);
    await client.deletePrompt(id);
  });

  it("are fenced when r1 serves the tenant again, also before they ever read its keyset", async () => {
    await databases.serve(tenant, R1);
    const fresh = { ...urls, prompts: await listen("platform-api", platformApi) };
    for (const client of [new ServiceClient(urls, tenant), new ServiceClient(fresh, tenant)]) {
      for (const answer of [await client.createPrompt("late", { title: "t", body: "b" }), await client.listPrompts()]) {
        assert.deepEqual([answer.status, answer.headers.get("x-release")], [503, R1.pin]);
      }
    }
    await databases.serve(tenant, R2, "sealed");
    const again = await new ServiceClient(fresh, tenant).createPrompt("late", { title: "t", body: "b" });
    assert.equal(again.status, 201);
  });

  it("answer 503 without X-Release, which nobody may repeat blindly, while Vault refuses them", async () => {
    const working = credentials;
    credentials = { ...working, secretId: "wrong" };
    const locked = { ...urls, prompts: await listen("platform-api", platformApi) };
    credentials = working;
    const answer = await new ServiceClient(locked, tenant).createPrompt("locked", { title: "t", body: "b" });
    assert.deepEqual([answer.status, answer.json.error, answer.headers.get("x-release")], [503, "unavailable", null]);
  });
});
