import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { allFleets } from "../../local/gateway/fleets.ts";
import { startGateway, stopGateway } from "../../local/gateway/gateway.ts";
import { findFreePort } from "../../local/servers/free-port.ts";
import { r1 } from "../migrations/mirror/tenant-fixture.ts";
import { getPostgresUrl, roleUrl, databaseUrl } from "../servers.ts";
import { environment, type DrillTenant } from "./drill-tenant.ts";

/** What the gateway answered to one write. */
export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  /** Of the prompt that was written. */
  readonly id?: string;
  readonly body: string;
}

/** The real gateway and R1's real service of prompts before one tenant: requests come in as users send them. */
export class FrontDoor {
  readonly #home: string;
  readonly #url: string;
  readonly #service: ChildProcess;
  #written = 0;

  private constructor(home: string, url: string, service: ChildProcess) {
    this.#home = home;
    this.#url = url;
    this.#service = service;
  }

  static async open(tenant: DrillTenant, registryDatabase: string): Promise<FrontDoor> {
    const home = await mkdtemp(join(tmpdir(), "rc-door-"));
    const gatewayPort = await findFreePort();
    const gatewayAdminPort = await findFreePort(1, new Set([gatewayPort]));
    const fleetBasePort = await findFreePort(100, new Set([gatewayPort, gatewayAdminPort]));
    const port = allFleets(fleetBasePort).find(({ release }) => release === "r1")?.ports.prompts;
    // The service finds a tenant's database by a template; that of a drill has a number behind the tenant's name.
    const suffix = tenant.tenant.replaceAll("-", "_");
    const template = roleUrl("platform_r1", databaseUrl(tenant.database)).replace(suffix, "{tenant}");
    const service = spawn(process.execPath, [join(import.meta.dirname, "..", "workload", "r1", "platform-api.ts")], {
      stdio: ["ignore", "ignore", "inherit"],
      env: {
        PATH: process.env["PATH"],
        SERVICE: "platform-api",
        RELEASE: "r1",
        RELEASE_PIN: r1.pin,
        PORT: String(port),
        DATABASE_URL: template,
        REGISTRY_URL: roleUrl("platform_r1", databaseUrl(registryDatabase)),
        ENVIRONMENT: environment,
      },
    });
    const door = new FrontDoor(home, `http://127.0.0.1:${gatewayPort}/tenants/${tenant.tenant}/prompts`, service);
    await startGateway({
      homeFolder: home,
      gatewayPort,
      gatewayAdminPort,
      fleetBasePort,
      postgresUrl: getPostgresUrl(),
      isTiedToParent: true,
      registryDatabase,
      registryRole: "",
    });
    return door;
  }

  /** One new prompt, as a user sends it. */
  async write(): Promise<Answer> {
    this.#written += 1;
    const body = `through the door ${this.#written}`;
    const answer = await fetch(this.#url, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": `door-${this.#written}` },
      body: JSON.stringify({ title: `door ${this.#written}`, body }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await answer.text();
    const id = answer.ok ? (JSON.parse(text) as { id: string }).id : undefined;
    const retryAfter = answer.headers.get("retry-after");
    return { status: answer.status, retryAfter, body, ...(id === undefined ? {} : { id }) };
  }

  /** Writes until an answer has this status. @returns all answers */
  async writeUntil(status: number): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (;;) {
      const answer = await this.write();
      answers.push(answer);
      if (answer.status === status) return answers;
      await sleep(20);
    }
  }

  async close(): Promise<void> {
    await stopGateway({ homeFolder: this.#home });
    if (this.#service.exitCode === null) {
      this.#service.kill("SIGKILL");
      await once(this.#service, "exit");
    }
    await rm(this.#home, { recursive: true, force: true });
  }
}
