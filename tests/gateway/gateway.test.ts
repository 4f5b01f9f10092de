import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { allFleets } from "../../local/gateway/fleets.ts";
import { findGateway, startGateway, stopGateway } from "../../local/gateway/gateway.ts";
import { findFreePort } from "../../local/servers/free-port.ts";
import { getPostgresUrl } from "../servers.ts";
import { ContractDatabases } from "../workload/contract-database.ts";

/** What a fleet of this test answers, or the gateway instead of it. */
interface FleetAnswer {
  readonly release: string;
  readonly port: number;
  readonly url: string;
  readonly error: string;
}

describe("the gateway", function () {
  this.timeout(120_000);
  const databases = new ContractDatabases();
  const servers: Server[] = [];
  let homeFolder: string;
  let gatewayUrl: string;

  /** A fleet that answers with its release and what it was asked. */
  const serveFleet = async (port: number, release: string): Promise<void> => {
    const server = createServer((request, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ release, port, url: request.url }));
    });
    servers.push(server);
    await new Promise<void>((resolve) => void server.listen(port, "127.0.0.1", resolve));
  };
  const ask = async (path: string): Promise<{ status: number; json: FleetAnswer; headers: Headers }> => {
    const answer = await fetch(`${gatewayUrl}${path}`, { signal: AbortSignal.timeout(15_000) });
    const text = await answer.text();
    const isJson = answer.headers.get("content-type") === "application/json";
    return { status: answer.status, json: (isJson ? JSON.parse(text) : {}) as FleetAnswer, headers: answer.headers };
  };
  const eventually = async (
    path: string,
    isWanted: (answer: { status: number; json: FleetAnswer }) => boolean,
  ): Promise<void> => {
    for (;;) {
      if (isWanted(await ask(path))) return;
      await sleep(20);
    }
  };

  before(async () => {
    homeFolder = await mkdtemp(join(tmpdir(), "rc-gateway-"));
    const gatewayPort = await findFreePort();
    const gatewayAdminPort = await findFreePort(1, new Set([gatewayPort]));
    const fleetBasePort = await findFreePort(100, new Set([gatewayPort, gatewayAdminPort]));
    gatewayUrl = `http://127.0.0.1:${gatewayPort}`;
    for (const { release, ports } of allFleets(fleetBasePort).slice(0, 2)) {
      for (const port of Object.values(ports)) await serveFleet(port, release);
    }
    // The registry does not exist yet.
    await startGateway({
      homeFolder,
      gatewayPort,
      gatewayAdminPort,
      fleetBasePort,
      postgresUrl: getPostgresUrl(),
      isTiedToParent: true,
      registryDatabase: new URL(databases.registryUrl()).pathname.slice(1),
      registryRole: "",
    });
  });
  after(async () => {
    await stopGateway({ homeFolder });
    for (const server of servers) server.close();
    servers.forEach((server) => server.closeAllConnections());
    await databases.drop();
    await rm(homeFolder, { recursive: true, force: true });
  });

  it("starts before the registry exists and knows no tenant then", async () => {
    const { status, json } = await ask("/tenants/acme/prompts");
    assert.deepEqual([status, json.error], [404, "not-found"]);
  });

  it("follows a tenant into its release's fleet, each resource to its service", async () => {
    await databases.createRoles(["r1", "r2"]);
    await databases.createRegistry();
    await databases.createTenant("acme", { release: "r1", pin: "r1@000000000001" });
    await databases.createTenant("acme-labs", { release: "r2", pin: "r2@000000000002" });
    await eventually("/tenants/acme/prompts", ({ status }) => status === 200);
    await eventually("/tenants/acme-labs/prompts", ({ status }) => status === 200);
    const answers = await Promise.all(
      ["prompts/1", "conversations?limit=2", "search?q=a"].map(
        async (path) => (await ask(`/tenants/acme/${path}`)).json,
      ),
    );
    assert.deepEqual(new Set(answers.map((answer) => answer.release)), new Set(["r1"]));
    assert.equal(new Set(answers.map((answer) => answer.port)).size, 3);
    assert.equal(answers[1]?.url, "/tenants/acme/conversations?limit=2");
    assert.equal((await ask("/tenants/acme-labs/search?q=a")).json.release, "r2");
  });

  it("knows nothing else: other paths, other tenants, dressed-up paths", async () => {
    for (const path of [
      "/",
      "/tenants/nobody/prompts",
      "/tenants/acme/promptsx",
      "/tenants/acme",
      "/tenants/acme/metrics",
      "/healthz",
    ]) {
      assert.equal((await ask(path)).status, 404, path);
    }
    assert.equal((await ask("/tenants/acme%2fprompts")).status, 400);
  });

  it("moves a tenant without a failed request", async () => {
    let isMoving = true;
    const statuses = new Map<string, number>();
    const traffic = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (isMoving) {
          const { status, json } = await ask("/tenants/acme/prompts");
          const key = `${status} ${json.release}`;
          statuses.set(key, (statuses.get(key) ?? 0) + 1);
        }
      }),
    );
    for (const release of ["r2", "r1", "r2"]) {
      await databases.serve("acme", { release, pin: `${release}@0` });
      await eventually("/tenants/acme/prompts", ({ json }) => json.release === release);
    }
    isMoving = false;
    await traffic;
    assert.deepEqual([...statuses.keys()].sort(), ["200 r1", "200 r2"]);
  });

  it("refuses a suspended tenant with Retry-After and without X-Release, and lets it in again", async () => {
    const suspend = async (status: string): Promise<unknown> =>
      await databases.sql(databases.registryUrl(), "UPDATE registry.tenant SET status = $1 WHERE id = 'acme'", [
        status,
      ]);
    await suspend("suspended");
    await eventually("/tenants/acme/prompts", ({ status }) => status === 503);
    const { headers, json } = await ask("/tenants/acme/search?q=a");
    assert.deepEqual([headers.get("retry-after"), headers.get("x-release"), json.error], ["5", null, "unavailable"]);
    assert.equal((await ask("/tenants/acme-labs/prompts")).status, 200);
    await suspend("active");
    await eventually("/tenants/acme/prompts", ({ status }) => status === 200);
  });

  it("answers 503 for a release whose fleet is not there", async () => {
    await databases.sql(databases.registryUrl(), "UPDATE registry.route SET release = 'r3' WHERE tenant = 'acme'");
    await eventually("/tenants/acme/prompts", ({ status }) => status === 503);
    await databases.sql(databases.registryUrl(), "UPDATE registry.route SET release = 'r1' WHERE tenant = 'acme'");
    await eventually("/tenants/acme/prompts", ({ status }) => status === 200);
  });

  it("keeps the routes when its connection to the registry is cut, and follows again", async () => {
    const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gateway-routes'`;
    const rows = await databases.sql(databases.registryUrl(), cut);
    assert.equal(rows.length, 1);
    assert.equal((await ask("/tenants/acme/prompts")).status, 200);
    await databases.serve("acme", { release: "r2", pin: "r2@0" });
    await eventually("/tenants/acme/prompts", ({ json }) => json.release === "r2");
  });

  it("stops with its follower and leaves no process", async () => {
    assert.ok(findGateway({ homeFolder }) !== undefined);
    assert.equal(await stopGateway({ homeFolder }), true);
    assert.equal(findGateway({ homeFolder }), undefined);
    await assert.rejects(ask("/"), TypeError);
    assert.equal(await stopGateway({ homeFolder }), false);
  });
});
