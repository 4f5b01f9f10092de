import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface HostedContainer {
  readonly id: string;
  readonly name: string;
  readonly spec: Record<string, unknown> & { readonly Env?: readonly string[] };
  service?: Server;
}

/**
 * Answers the part of Docker's API that the program uses. A started container is a service on its port that tells its pin
 * and is healthy: refusals are about data and state, and containers would cost minutes. All else in this drill is real.
 */
export class FleetHost {
  readonly #containers = new Map<string, HostedContainer>();
  #server: Server | undefined;
  #made = 0;

  /** @returns value for DOCKER_HOST */
  async start(): Promise<string> {
    this.#server = createServer((request, response) => void this.#answer(request, response));
    return `tcp://127.0.0.1:${await listen(this.#server, 0)}`;
  }

  /** What stands here, for comparison. */
  containers(): readonly string[] {
    return [...this.#containers.values()].map(({ id, name, spec }) => `${id} ${name} ${JSON.stringify(spec)}`).sort();
  }

  async stop(): Promise<void> {
    for (const { service } of this.#containers.values()) await close(service);
    await close(this.#server);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const url = new URL(request.url ?? "/", "http://host");
    const [, , , key = "", action = ""] = url.pathname.split("/").map(decodeURIComponent);
    const found = [...this.#containers.values()].find(({ id, name }) => id === key || name === key);
    const reply = (status: number, value?: unknown) =>
      response.writeHead(status).end(value === undefined ? undefined : JSON.stringify(value));
    if (request.method === "POST" && key === "create") {
      const id = `container-${(this.#made += 1)}`;
      const name = url.searchParams.get("name") ?? id;
      this.#containers.set(id, { id, name, spec: JSON.parse(body) as HostedContainer["spec"] });
      return void reply(201, { Id: id });
    }
    if (found === undefined) return void reply(404, { message: `no ${url.pathname}` });
    if (request.method === "GET") return void reply(200, inspection(found));
    if (action === "start") await serve(found);
    if (action === "stop" || request.method === "DELETE") await close(found.service);
    if (request.method === "DELETE") this.#containers.delete(found.id);
    reply(204);
  }
}

async function serve(container: HostedContainer): Promise<void> {
  const env = Object.fromEntries((container.spec.Env ?? []).map((entry) => entry.split(/=(.*)/s)));
  container.service = createServer((_request, response) => response.end(JSON.stringify({ pin: env["RELEASE_PIN"] })));
  await listen(container.service, Number(env["PORT"]));
}

/** Healthy as soon as it is started; every setting as it was asked for. */
function inspection({ id, name, spec }: HostedContainer): object {
  const host = (spec["HostConfig"] ?? {}) as Record<string, unknown>;
  return {
    Id: id,
    Name: `/${name}`,
    Image: "sha256:0",
    State: { Status: "running", Running: true, ExitCode: 0, Health: { Status: "healthy" } },
    Config: { ...spec, Labels: spec["Labels"] ?? null },
    HostConfig: { LogConfig: { Type: "json-file", Config: {} }, ...host },
    NetworkSettings: { Bridge: "", Networks: {} },
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

async function close(server: Server | undefined): Promise<void> {
  server?.closeAllConnections();
  await new Promise((resolve) => (server?.listening === true ? server.close(resolve) : resolve(undefined)));
}
