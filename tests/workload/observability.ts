import type { AddRoutes } from "./service.ts";

/** Services that stand before this one in the fleet's block of ports, in the order of the release data. */
const SIBLINGS = ["platform-api", "knowledge-rag", "agent-orchestrator"];

/** One page of metrics for the whole fleet: its own and what the siblings answer. */
export const observability: AddRoutes = (app, { settings, counts }) => {
  app.get("/metrics", async (_request, reply) => {
    const pages = await Promise.all(
      SIBLINGS.map(async (service, index) => {
        const port = settings.port - SIBLINGS.length + index;
        const page = await scrape(`http://127.0.0.1:${port}/metrics`);
        return {
          up: `rc_service_up{service="${service}",release="${settings.release}"} ${page === undefined ? 0 : 1}`,
          page,
        };
      }),
    );
    const up = ["# TYPE rc_service_up gauge", ...pages.map((page) => page.up), ""].join("\n");
    const text = merge([up, counts.render(), ...pages.map(({ page }) => page ?? "")]);
    return reply.type("text/plain; version=0.0.4").send(text);
  });
};

async function scrape(url: string): Promise<string | undefined> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    return answer.ok ? await answer.text() : undefined;
  } catch {
    return undefined;
  }
}

/** Prometheus wants every series of a metric in one group under one TYPE line. */
function merge(pages: readonly string[]): string {
  const groups = new Map<string, string[]>();
  let group: string[] = [];
  for (const line of pages.join("\n").split("\n")) {
    if (line === "") continue;
    if (!line.startsWith("# TYPE")) {
      group.push(line);
      continue;
    }
    group = groups.get(line) ?? [];
    groups.set(line, group);
  }
  return [...groups].flatMap(([type, series]) => [type, ...series, ""]).join("\n");
}
