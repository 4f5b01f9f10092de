import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { openFixture, r1, r2, type OnboardingFixture } from "../migrations/onboarding-fixture.ts";
import { askVault, ensureMounted } from "../migrations/vault/test-vault.ts";
import { databaseUrl, getPostgresUrl, getVault, releaseRoles } from "../servers.ts";
import { agentOrchestrator } from "./agent-orchestrator.ts";
import { openClearBodies } from "./body-store-clear.ts";
import { openSealedBodies } from "./body-store-sealed.ts";
import { knowledgeRag } from "./knowledge-rag.ts";
import type { OracleAccess } from "./oracle-bodies.ts";
import { platformApi } from "./platform-api.ts";
import { type AddRoutes, buildService } from "./service.ts";

const ENVIRONMENT = "onb";
const MOUNT = `transit-${ENVIRONMENT}`;
const ROUTES: Readonly<Record<string, AddRoutes>> = {
  prompts: platformApi,
  conversations: agentOrchestrator,
  search: knowledgeRag,
};

/** What a gateway does to one request: pass it, or break the connection before or after the service has done it. */
export type Interference = "pass" | "break-before" | "break-after";

/** Tenants made by the product, real services of R1 and R2, and a gateway that can be told to break connections. */
export class OracleFixture {
  readonly access: OracleAccess;
  /** Decides about every request. */
  interfere: (request: { method: string; path: string }) => Interference = () => "pass";
  readonly #onboarding: OnboardingFixture;
  readonly #apps: FastifyInstance[] = [];
  readonly #targets = new Map<string, string>();
  readonly #releases = new Map<string, "r1" | "r2">();
  #server: Server | undefined;

  private constructor(onboarding: OnboardingFixture) {
    this.#onboarding = onboarding;
    const { address, token } = getVault();
    this.access = {
      postgresUrl: getPostgresUrl(),
      environment: ENVIRONMENT,
      vaultAddress: address,
      vaultToken: token,
      python: process.env["RC_PYTHON"] as string,
    };
  }

  static async open(name: string): Promise<OracleFixture> {
    const fixture = new OracleFixture(await openFixture(name));
    const vault = { address: getVault().address, transitMount: MOUNT, ...(await appRole()) };
    for (const release of [r1, r2]) {
      for (const [resource, routes] of Object.entries(ROUTES)) {
        const app = buildService(
          {
            service: resource,
            release: release.id,
            pin: release.pin,
            port: 0,
            databaseUrl: login(release.role as "platform_r1"),
            registryUrl: fixture.#onboarding.registryUrl,
            environment: ENVIRONMENT,
            vault,
          },
          routes,
          release.id === "r1" ? openClearBodies : openSealedBodies,
        );
        fixture.#apps.push(app);
        fixture.#targets.set(`${release.id} ${resource}`, await app.listen({ host: "127.0.0.1", port: 0 }));
      }
    }
    const server = createServer((request, response) => void fixture.#forward(request, response));
    fixture.#server = server;
    await once(server.listen(0, "127.0.0.1"), "listening");
    return fixture;
  }

  /** @param release that the tenant is born under: r1 keeps bodies in clear, r2 sealed */
  async onboard(tenant: string, release: "r1" | "r2"): Promise<void> {
    const [result] = await this.#onboarding.onboard(release === "r1" ? r1 : r2, [tenant]);
    if (result?.status !== "done") throw new Error(`${tenant} was not onboarded: ${result?.reason}`);
    this.#releases.set(tenant, release);
  }

  get gateway(): string {
    return `http://127.0.0.1:${(this.#server?.address() as AddressInfo).port}`;
  }

  /** Runs statements in a tenant's database as the superuser; rows of the last one. */
  async sql<Row = unknown>(tenant: string, ...statements: string[]): Promise<Row[]> {
    return (await this.#onboarding.query(tenant, statements)) as Row[];
  }

  /** Takes a tenant from its release as a cutover does; the gateway goes on sending to the old one. */
  async fence(tenant: string): Promise<void> {
    await this.sql(
      tenant,
      `BEGIN; REVOKE ALL ON ALL TABLES IN SCHEMA public FROM platform_r1; UPDATE rc.whereabouts SET release = 'r2', pin = '${r2.pin}'; COMMIT`,
    );
  }

  /** Gives it back. */
  async unfence(tenant: string): Promise<void> {
    await this.sql(
      tenant,
      `BEGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO platform_r1; UPDATE rc.whereabouts SET release = 'r1', pin = '${r1.pin}'; COMMIT`,
    );
  }

  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    this.#server?.close();
    await Promise.all(this.#apps.map((app) => app.close()));
    await this.#onboarding.close();
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    const [, , tenant = "", resource = ""] = path.split(/[/?]/);
    const target = this.#targets.get(`${this.#releases.get(tenant)} ${resource}`);
    const interference = this.interfere({ method: request.method ?? "", path });
    const body = await buffer(request);
    if (target === undefined) return void response.writeHead(404).end();
    if (interference === "break-before") return void request.socket.destroy();
    const names = ["content-type", "idempotency-key"] as const;
    const headers = names.flatMap((name) => (request.headers[name] ? [[name, String(request.headers[name])]] : []));
    const answer = await fetch(`${target}${path}`, {
      method: request.method ?? "GET",
      headers: headers as [string, string][],
      ...(body.length > 0 ? { body } : {}),
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (interference === "break-after") return void request.socket.destroy();
    const back = ["content-type", "retry-after", "x-release"].flatMap((name) => {
      const value = answer.headers.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    response.writeHead(answer.status, Object.fromEntries(back)).end(bytes);
  }
}

function login(role: "platform_r1" | "platform_r2"): string {
  const url = new URL(databaseUrl("TENANT"));
  url.username = role;
  url.password = releaseRoles[role];
  return url.href.replace("/TENANT", "/tenant_{tenant}");
}

/** An AppRole that may use this mount's keys, as the fleet of R2 has one. */
async function appRole(): Promise<{ roleId: string; secretId: string }> {
  await ensureMounted("auth/approle", { type: "approle" });
  const policy = `path "${MOUNT}/*" { capabilities = ["create", "read", "update"] }`;
  await askVault("PUT", "sys/policies/acl/ora-services", { policy });
  await askVault("POST", "auth/approle/role/ora-services", { token_policies: "ora-services" });
  const role = await askVault("GET", "auth/approle/role/ora-services/role-id");
  const secret = await askVault("POST", "auth/approle/role/ora-services/secret-id", {});
  return { roleId: role.data["role_id"] as string, secretId: secret.data["secret_id"] as string };
}
