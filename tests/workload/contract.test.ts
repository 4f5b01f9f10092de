import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import pg from "pg";
import { runAcceptance } from "./acceptance.ts";
import { agentOrchestrator } from "./agent-orchestrator.ts";
import { openClearBodies } from "./body-store-clear.ts";
import { ContractDatabases } from "./contract-database.ts";
import { knowledgeRag } from "./knowledge-rag.ts";
import { observability } from "./observability.ts";
import { platformApi } from "./platform-api.ts";
import { type AddRoutes, buildService } from "./service.ts";
import { ServiceClient } from "./service-client.ts";

const R1 = { release: "r1", pin: "r1@000000000001" };
const R2 = { release: "r2", pin: "r2@000000000002" };
const TENANT = "acme-labs";

describe("the services of release r1", function () {
  this.timeout(60_000);
  const databases = new ContractDatabases();
  const apps: FastifyInstance[] = [];
  let urls: { prompts: string; conversations: string; search: string };

  const listen = async (service: string, routes: AddRoutes, release = "r1"): Promise<string> => {
    const app = buildService(
      {
        service,
        release,
        pin: R1.pin,
        port: 0,
        databaseUrl: databases.databaseUrl(release),
        registryUrl: databases.registryUrl(release),
        environment: "test",
      },
      routes,
      openClearBodies,
    );
    apps.push(app);
    return await app.listen({ host: "127.0.0.1", port: 0 });
  };

  before(async () => {
    await databases.createRoles(["r1", "r2"]);
    await databases.createRegistry();
    await databases.createTenant(TENANT, R1);
    urls = {
      prompts: await listen("platform-api", platformApi),
      conversations: await listen("agent-orchestrator", agentOrchestrator),
      search: await listen("knowledge-rag", knowledgeRag),
    };
  });
  after(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await databases.drop();
  });

  it("keep the contract, and agree with a model over 1,000 random operations", async () => {
    const report = await runAcceptance({ baseUrl: urls, tenant: TENANT, operations: 1_000 });
    assert.deepEqual(
      report.checks.filter((check) => check.failure !== undefined),
      [],
    );
    assert.equal(report.isAccepted, true);
  });

  it("say in readiness which tenants they may serve and which live elsewhere", async () => {
    const ready = (await (await fetch(`${urls.prompts}/readyz`)).json()) as Record<string, unknown>;
    assert.deepEqual([ready.ready, ready.tenants, ready.elsewhere], [true, [TENANT], []]);
  });

  it("answer 404 for a tenant that does not exist and for a name that cannot be one", async () => {
    for (const tenant of ["nobody", "..%2Fpostgres", "Robert'); DROP"]) {
      const answer = await fetch(`${urls.prompts}/tenants/${encodeURIComponent(tenant)}/prompts`);
      assert.equal(answer.status, 404);
    }
  });

  it("keep an Idempotency-Key to its conversation", async () => {
    const client = new ServiceClient(urls, TENANT);
    const [one, two] = await Promise.all(
      ["k1", "k2"].map(async (key) => (await client.createConversation(key, "t")).json.id),
    );
    assert.equal((await client.appendMessage(one, "m1", { role: "user", body: "b" })).status, 201);
    assert.equal((await client.appendMessage(two, "m1", { role: "user", body: "b" })).status, 409);
  });

  it("are fenced in every method once another release serves the tenant, and change nothing", async () => {
    const client = new ServiceClient(urls, TENANT);
    const made = (await client.createPrompt("fence-1", { title: "kept", body: "kept" })).json;
    const talk = (await client.createConversation("fence-talk", "t")).json.id;
    const count = async (): Promise<unknown> =>
      await databases.sql(
        databases.adminUrl(TENANT),
        "SELECT (SELECT count(*) FROM prompts) p, (SELECT count(*) FROM prompt_bodies) b, (SELECT count(*) FROM messages) m, (SELECT count(*) FROM chunks) c, (SELECT count(*) FROM conversations) o",
      );
    const before = await count();
    await databases.serve(TENANT, R2, "sealed");
    const answers = await Promise.all([
      client.createPrompt("fence-2", { title: "lost", body: "lost" }),
      client.createPrompt("fence-1", { title: "kept", body: "kept" }),
      client.getPrompt(made.id),
      client.putPrompt(made.id, { title: "lost", body: "lost" }),
      client.deletePrompt(made.id),
      client.listPrompts(),
      client.createConversation("fence-3", "lost"),
      client.appendMessage(talk, "fence-4", { role: "user", body: "lost" }),
      client.listMessages(talk),
      client.search("kept"),
    ]);
    for (const answer of answers) {
      assert.equal(answer.status, 503, answer.request);
      assert.equal(answer.headers.get("x-release"), R2.pin, answer.request);
      assert.equal(answer.headers.get("retry-after"), "1", answer.request);
      const { error, tenant, release } = answer.json;
      assert.deepEqual([error, tenant, release], ["fenced", TENANT, "r2"]);
      assert.ok(!Number.isNaN(Date.parse(answer.json.since)));
    }
    assert.deepEqual(await count(), before);
    await databases.serve(TENANT, R1);
    assert.equal((await client.getPrompt(made.id)).json.body, "kept");
  });

  it("are fenced as well when their tables are gone, and only then", async () => {
    const client = new ServiceClient(urls, TENANT);
    await databases.serve(TENANT, R2, "sealed");
    await databases.sql(databases.adminUrl(TENANT), "ALTER TABLE prompt_bodies RENAME TO prompt_bodies_away");
    assert.equal((await client.createPrompt("gone-1", { title: "t", body: "b" })).headers.get("x-release"), R2.pin);
    await databases.sql(databases.adminUrl(TENANT), `UPDATE rc.whereabouts SET release = 'r1', pin = '${R1.pin}'`);
    const fault = await client.createPrompt("gone-2", { title: "t", body: "b" });
    assert.deepEqual([fault.status, fault.headers.get("x-release")], [500, null]);
    await databases.sql(databases.adminUrl(TENANT), "ALTER TABLE prompt_bodies_away RENAME TO prompt_bodies");
    await databases.serve(TENANT, R1);
  });

  it("roll back a request that the fence overtakes inside its transaction", async () => {
    const client = new ServiceClient(urls, TENANT);
    const made = (await client.createPrompt("overtaken", { title: "old", body: "old" })).json;
    assert.ok(made.id, JSON.stringify(made));
    // A lock on the parent holds the request after it has passed the body table; then its rights are taken.
    const holder = new pg.Client({ connectionString: databases.adminUrl(TENANT) });
    await holder.connect();
    await holder.query("BEGIN");
    await holder.query("SELECT 1 FROM prompts WHERE id = $1 FOR UPDATE", [made.id]);
    const pending = client.putPrompt(made.id, { title: "new", body: "new" });
    // From another connection: inside one transaction pg_stat_activity stays as it was first read.
    const waiting = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
      AND query LIKE 'UPDATE prompts%'`;
    while ((await databases.sql(databases.adminUrl(TENANT), waiting)).length === 0) await sleep(10);
    await databases.sql(
      databases.adminUrl(TENANT),
      `UPDATE rc.whereabouts SET release = 'r2', pin = '${R2.pin}'; REVOKE ALL ON chunks FROM PUBLIC, "${new URL(databases.databaseUrl("r1")).username}"`,
    );
    await holder.query("ROLLBACK");
    await holder.end();
    const answer = await pending;
    assert.deepEqual([answer.status, answer.headers.get("x-release")], [503, R2.pin]);
    await databases.serve(TENANT, R1);
    assert.equal((await client.getPrompt(made.id)).json.body, "old");
  });

  it("answer 503 without a release when the server ends their connections, and recover", async () => {
    const client = new ServiceClient(urls, TENANT);
    await client.listPrompts();
    await databases.sql(
      databases.adminUrl(TENANT),
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    const answers = [await client.listPrompts(), await client.listPrompts(), await client.listPrompts()];
    assert.equal(answers.at(-1)?.status, 200);
    for (const answer of answers) assert.ok([200, 503].includes(answer.status) && !answer.headers.has("x-release"));
  });

  it("count what they did, and observability puts the fleet on one page", async () => {
    const own = await (await fetch(`${urls.prompts}/metrics`)).text();
    assert.match(own, /rc_requests_total\{service="platform-api",release="r1",tenant="acme-labs",outcome="ok"\} [1-9]/);
    assert.match(own, /outcome="fenced"\} [1-9]/);
    const page = await (await fetch(`${await listen("observability", observability)}/metrics`)).text();
    assert.match(page, /rc_service_up\{service="platform-api",release="r1"\} 0/);
    assert.equal(page.match(/# TYPE rc_requests_total counter/g)?.length, 1);
  });
});
