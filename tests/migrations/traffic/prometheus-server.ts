import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What a query gives: one number a series, an answer of its own, or nobody who answers. */
export type Given = readonly number[] | { readonly status: number; readonly body: unknown };

/**
 * Answers `/api/v1/query` as Prometheus' documentation of its HTTP API describes it, with numbers of the test's choice. The
 * real server is asked in `prometheus.test.ts`.
 */
export class PrometheusServer {
  /** By a part of the query. */
  readonly answers = new Map<string, Given>();
  readonly asked: string[] = [];
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const query = new URLSearchParams(Buffer.concat(chunks).toString()).get("query") ?? "";
      this.asked.push(query);
      const given = [...this.answers].find(([part]) => query.includes(part))?.[1] ?? [];
      const [status, body] =
        "status" in given
          ? [given.status, given.body]
          : [200, { status: "success", data: { resultType: "vector", result: given.map(series) } }];
      response.writeHead(request.url === "/api/v1/query" ? status : 404, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    });
  });

  async start(): Promise<string> {
    await new Promise<void>((done) => void this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}

/** Numbers are texts there, as Go writes them. */
function series(value: number) {
  const text = Number.isNaN(value) ? "NaN" : value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value);
  return { metric: {}, value: [1_700_000_000.123, text] };
}
