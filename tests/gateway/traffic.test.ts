import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { allFleets } from "../../local/gateway/fleets.ts";
import { startGateway, stopGateway } from "../../local/gateway/gateway.ts";
import { findFreePort } from "../../local/servers/free-port.ts";
import { ensureRegistry } from "../../migrations/registry/registry-schema.ts";
import { Registry } from "../../migrations/registry/registry.ts";
import { wantedReleaseHeader } from "../../migrations/traffic/split.ts";
import { createDatabase, dropDatabase, getPostgresUrl } from "../servers.ts";

const database = "traffic_registry";

describe("requests without a tenant, at the gateway", function () {
  this.timeout(120_000);
  const servers: Server[] = [];
  let homeFolder: string;
  let gatewayUrl: string;
  let registry: Registry;

  const ask = async (path: string, wanted?: string): Promise<string> => {
    const answer = await fetch(gatewayUrl + path, {
      headers: wanted === undefined ? {} : { [wantedReleaseHeader]: wanted },
      signal: AbortSignal.timeout(15_000),
    });
    return answer.status === 200 ? await answer.text() : String(answer.status);
  };
  const split = (percent: number, older: string | undefined = "r1") =>
    registry.traffic.put({
      environment: "gw",
      newer: "r2",
      ...(older === "" ? {} : { older }),
      pin: "r2@000000000002",
      percent,
      paths: [{ path: "/healthz", service: "platform-api" }],
      isProven: false,
    });
  /** Until one request is answered so: the gateway follows within a moment. */
  const eventually = async (path: string, wanted: string): Promise<void> => {
    while ((await ask(path)) !== wanted) await sleep(20);
  };
  /** How many of some requests each release answers. */
  const count = async (requests: number, path = "/healthz"): Promise<Record<string, number>> => {
    const found: Record<string, number> = {};
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let left = requests / 8; left > 0; left -= 1) {
          const answer = await ask(path);
          found[answer] = (found[answer] ?? 0) + 1;
        }
      }),
    );
    return found;
  };

  before(async () => {
    const registryUrl = await createDatabase(database);
    await ensureRegistry(registryUrl, []);
    registry = new Registry(registryUrl);
    homeFolder = await mkdtemp(join(tmpdir(), "rc-traffic-"));
    const gatewayPort = await findFreePort();
    const gatewayAdminPort = await findFreePort(1, new Set([gatewayPort]));
    const fleetBasePort = await findFreePort(100, new Set([gatewayPort, gatewayAdminPort]));
    gatewayUrl = `http://127.0.0.1:${gatewayPort}`;
    for (const { release, ports } of allFleets(fleetBasePort).slice(0, 2))
      for (const [resource, port] of Object.entries(ports)) {
        const server = createServer((_request, response) => response.end(`${release} ${resource}`));
        servers.push(server);
        await new Promise<void>((resolve) => void server.listen(port, "127.0.0.1", resolve));
      }
    await startGateway({
      homeFolder,
      gatewayPort,
      gatewayAdminPort,
      fleetBasePort,
      postgresUrl: getPostgresUrl(),
      isTiedToParent: true,
      registryDatabase: database,
    });
  });
  after(async () => {
    await stopGateway({ homeFolder });
    for (const server of servers) server.close();
    servers.forEach((server) => server.closeAllConnections());
    await registry.close();
    await dropDatabase(database);
    await rm(homeFolder, { recursive: true, force: true });
  });

  it("meet nothing before somebody shares them out", async () => {
    assert.equal(await ask("/healthz"), "404");
  });

  it("all reach the older release at 0 percent, the newer one by header alone", async () => {
    await split(0);
    await eventually("/healthz", "r1 prompts");
    assert.deepEqual(await count(200), { "r1 prompts": 200 });
    assert.equal(await ask("/healthz", "r2"), "r2 prompts");
    assert.equal(await ask("/healthz/deep", "r2"), "r2 prompts");
    assert.equal(await ask("/healthz", "r9"), "r1 prompts");
    assert.equal(await ask("/healthzz"), "404");
  });

  it("are shared by weight, and moved on without a failed one", async () => {
    await split(25);
    while ((await count(40))["r2 prompts"] === undefined) await sleep(20);
    const { "r1 prompts": older = 0, "r2 prompts": newer = 0, ...failed } = await count(2000);
    assert.deepEqual(failed, {});
    assert.equal(older + newer, 2000);
    // 500 are expected, and 19.4 is one standard deviation: seven of them.
    assert.ok(newer > 364 && newer < 636, `${newer} of 2000 where 25 percent were asked`);
    assert.equal(await ask("/healthz", "r1"), "r1 prompts");
    let isMoving = true;
    const seen = new Set<string>();
    const traffic = (async () => {
      while (isMoving) for (const answer of Object.keys(await count(16))) seen.add(answer);
    })();
    for (const percent of [50, 100, 0, 100]) {
      await split(percent);
      const only = percent === 100 ? "r2 prompts" : percent === 0 ? "r1 prompts" : undefined;
      while (only !== undefined && Object.keys(await count(40)).join() !== only) await sleep(20);
    }
    isMoving = false;
    await traffic;
    assert.deepEqual([...seen].sort(), ["r1 prompts", "r2 prompts"]);
  });

  it("have nothing to do with those of a tenant, which follow its cutover whatever header they bring", async () => {
    await registry.tenants.register([
      { id: "acme", tags: [], isProbe: false, region: "local", database: "tenant_acme", bornRelease: "r1" },
    ]);
    await registry.routes.point(["acme"], { release: "r1", pin: "r1@000000000001" });
    await registry.tenants.setStatus("onboarding", "active", { ids: ["acme"] });
    await eventually("/tenants/acme/search", "r1 search");
    assert.equal(await ask("/tenants/acme/search", "r2"), "r1 search");
    assert.deepEqual(await count(40, "/tenants/acme/search"), { "r1 search": 40 });
  });

  it("all reach the one release that there is, and nothing where it has no fleet", async () => {
    await split(0, "");
    await eventually("/healthz", "r2 prompts");
    await registry.traffic.put({
      ...{ environment: "gw", newer: "r9", pin: "r9@000000000009", percent: 100, isProven: true },
      paths: [{ path: "/healthz", service: "platform-api" }],
    });
    await eventually("/healthz", "404");
    assert.equal(await ask("/tenants/acme/search"), "r1 search");
  });
});
