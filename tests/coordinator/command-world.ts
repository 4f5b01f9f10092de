import { createServer } from "node:http";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "../../migrations/registry/registry.ts";

/** What a wave of the test program asks of the world. */
interface Move {
  readonly wave: string;
  readonly now: string;
}

/**
 * Stands behind the test program's waves: a wave's node moves the registry's tenants as the real nodes do, its check refuses
 * what a hold forbids. So commands run against the real Pulumi and the real registry, without containers and engine.
 */
export class CommandWorld {
  /** Tenants by wave. */
  readonly members: Record<string, readonly string[]> = {};
  /** Waves whose node fails instead of moving. */
  readonly failing = new Set<string>();
  /** Position after finalize. */
  finalized = false;
  readonly #registry: Registry;
  readonly #services: Server[] = [];
  #server: Server | undefined;
  #epoch = 0;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** @returns URL for the test program */
  async start(): Promise<string> {
    this.#server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        void this.#answer(request.url ?? "", JSON.parse(body) as Move).then(
          (answer) => response.end(JSON.stringify(answer)),
          (error: Error) => response.writeHead(500).end(JSON.stringify({ error: error.message })),
        );
      });
    });
    return `http://127.0.0.1:${await listen(this.#server, 0)}`;
  }

  /** Stands in for one service: answers its readiness with its pin. */
  async serve(port: number, pin: string): Promise<void> {
    const service = createServer((_request, response) => response.end(JSON.stringify({ pin })));
    this.#services.push(service);
    await listen(service, port);
  }

  async stop(): Promise<void> {
    for (const server of [this.#server, ...this.#services]) {
      server?.closeAllConnections();
      await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
    }
  }

  /** Rows each tenant's mirror has, and the rate that was measured. */
  async project(
    position: "mirroring" | "switched" | "retired",
    counts: { rows: number; dirty: number; rate?: number },
  ): Promise<void> {
    this.#epoch += 1;
    const tenants = Object.values(this.members).flat();
    await this.#record(tenants, position, counts);
  }

  async #answer(path: string, { wave, now }: Move): Promise<unknown> {
    if (path === "/check") {
      const hash = now.split("@")[1] ?? "";
      const holds = await this.#registry.holds.against("dev", hash, wave);
      return holds.map(({ who, why }) => `dev is held (by ${who}: ${why}), and ${now} is forbidden`);
    }
    if (this.failing.has(wave)) throw new Error(`the disk of wave ${wave} is full`);
    const tenants = this.members[wave] ?? [];
    await this.#registry.routes.point(tenants, { release: now.split("@")[0] ?? "", pin: now });
    const isSink = now.startsWith("r2@");
    if (isSink || this.#epoch > 0) {
      this.#epoch += 1;
      await this.#record(tenants, isSink ? (this.finalized ? "retired" : "switched") : "mirroring", {
        rows: 1000,
        dirty: 20,
        rate: 500,
      });
    }
    return {};
  }

  async #record(
    tenants: readonly string[],
    position: "mirroring" | "switched" | "retired",
    { rows, dirty, rate }: { rows: number; dirty: number; rate?: number },
  ): Promise<void> {
    const state = {
      mirror: "prompt-encryption",
      position,
      epoch: this.#epoch,
      rows,
      bytes: rows * 100,
      dirty,
      rateRowsPerS: rate,
    };
    await this.#registry.projection.record(tenants.map((tenant) => ({ tenant, ...state, asOf: new Date() })));
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}
