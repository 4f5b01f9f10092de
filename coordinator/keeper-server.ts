import { createServer } from "node:http";
import type { Server } from "node:http";
import { heartbeatLimitMs } from "./keeper.ts";
import type { Keeper } from "./keeper.ts";

/**
 * Health and numbers of a keeper: `/healthz` and `/readyz` (200, or 503 when no round has ended for a minute), `/metrics`
 * in Prometheus' text format.
 * @param host address to listen at; in a pod every one of them
 * @returns once it listens
 */
export async function serveKeeper(keeper: Keeper, port: number, host = "127.0.0.1"): Promise<Server> {
  const server = createServer((request, response) => {
    const { health } = keeper;
    if (request.url === "/metrics") {
      response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4" }).end(metricsText(keeper));
    } else if (request.url === "/healthz" || request.url === "/readyz") {
      const isHealthy = keeper.isHealthy();
      const body = JSON.stringify({ isHealthy, limitSeconds: heartbeatLimitMs / 1000, ...health });
      response.writeHead(isHealthy ? 200 : 503, { "Content-Type": "application/json" }).end(body);
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return server;
}

function metricsText({ health }: Keeper): string {
  const gauges: readonly (readonly [name: string, help: string, value: number])[] = [
    [
      "rc_keeper_heartbeat_timestamp_seconds",
      "End of the last round that reached the registry.",
      (health.heartbeatAt?.getTime() ?? 0) / 1000,
    ],
    ["rc_keeper_tenants", "Tenants with two complete sides.", health.tenants],
    ["rc_keeper_waiting_changes", "Captured changes that wait to be drained or compared.", health.waiting],
    ["rc_keeper_round_seconds", "Length of the last round.", health.roundSeconds],
    ["rc_keeper_faulty_tenants", "Tenants whose last turn failed.", Object.keys(health.faults).length],
  ];
  return gauges
    .map(([name, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`)
    .join("");
}
