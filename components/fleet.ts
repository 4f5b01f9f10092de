import { Container } from "@pulumi/docker/container.js";
import type { Provider } from "@pulumi/docker/provider.js";
import * as pulumi from "@pulumi/pulumi";
import { Smoke } from "../migrations/smoke.ts";
import type { ReleaseTarget } from "../migrations/wave-inputs.ts";
import type { Release } from "../releases/release.ts";
import type { Service } from "../releases/service.ts";
import type { Database } from "./database.ts";
import { getImage, type Images } from "./images.ts";
import type { Secrets } from "./secrets.ts";

export interface FleetArgs {
  readonly environment: string;
  readonly release: Release;
  readonly target: ReleaseTarget;
  readonly images: Images;
  readonly docker: Provider;
  /** First port of the fleets' block: release n has `basePort + 20 * (n - 1)` and the 19 after it. */
  readonly basePort: number;
  readonly database: Database;
  /** Present when the release needs Vault. */
  readonly secrets?: Secrets;
}

/** Paths that must answer 200 on the probe tenant before anything that depends on the service starts. */
const questions: Readonly<Record<string, (tenant: string) => readonly string[]>> = {
  "platform-api": (tenant) => [`/tenants/${tenant}/prompts?limit=1`],
  "knowledge-rag": (tenant) => [`/tenants/${tenant}/search?q=probe`],
  "agent-orchestrator": (tenant) => [`/tenants/${tenant}/conversations?limit=1`],
};

/**
 * All services of one release in one region, as containers on one Docker host: each starts when those it depends on are
 * healthy and have answered on the release's own probe tenant. Old and new fleets stand side by side. Removing a fleet
 * stops its containers; they hold no data.
 */
export class Fleet extends pulumi.ComponentResource {
  /** Resolves when every service has passed its smoke test. */
  readonly ready: pulumi.Output<string>;

  constructor(name: string, args: FleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("release-coordinator:components:Fleet", name, args.target, opts);
    const smokes = new Map<string, Smoke>();
    for (const service of startOrder(args.release.services)) {
      const before = service.dependsOn.flatMap((other) => smokes.get(other) ?? []);
      smokes.set(service.name, this.start(name, service, args, before));
    }
    this.ready = pulumi.all([...smokes.values()].map((smoke) => smoke.summary)).apply((all) => all.join("; "));
    this.registerOutputs({ ready: this.ready });
  }

  private start(name: string, service: Service, args: FleetArgs, before: readonly Smoke[]): Smoke {
    const index = args.release.services.indexOf(service);
    const port = args.basePort + 20 * (args.target.number - 1) + index;
    const image = getImage(args.images, `${args.release.id}/${service.name}`);
    const container = new Container(
      `${name}-${service.name}`,
      {
        name: `rc-${args.environment}-${args.basePort}-${args.release.id}-${service.name}`,
        image: image.image,
        envs: this.environmentOf(service, port, args),
        networkMode: "host",
        restart: "always",
        mustRun: true,
        // Requests in flight are answered before the container ends.
        destroyGraceSeconds: 15,
        memory: service.resources.memoryMib,
        labels: [
          { label: "release-coordinator.pin", value: args.target.pin },
          { label: "release-coordinator.digest", value: image.digest },
        ],
        healthcheck: {
          tests: ["CMD", "/node", "/service/health.mjs"],
          interval: `${service.probes.intervalSeconds}s`,
          timeout: "5s",
          startPeriod: `${service.probes.startSeconds}s`,
          retries: 3,
        },
        // The smoke test asks for health many times a second; the container's own probe runs seldom, because each run
        // is a process of its own, and waiting for its first answer would cost an interval a service.
        wait: false,
      },
      {
        parent: this,
        provider: args.docker,
        dependsOn: [...before],
        deleteBeforeReplace: true,
        replaceOnChanges: ["healthcheck"],
      },
    );
    const tenant = `probe-${args.release.id}`;
    return new Smoke(
      `${name}-${service.name}`,
      {
        service: service.name,
        pin: args.target.pin,
        url: `http://127.0.0.1:${port}`,
        probeTenant: tenant,
        paths: questions[service.name]?.(tenant) ?? [],
        container: container.id,
        deadlineSeconds: service.probes.startSeconds + 30,
      },
      { parent: this, dependsOn: [container] },
    );
  }

  private environmentOf(service: Service, port: number, args: FleetArgs): pulumi.Output<string>[] {
    const login = args.database.logins[args.target.role];
    if (login === undefined)
      throw new pulumi.RunError(`fleet ${args.target.pin}: no database role ${args.target.role}`);
    const server = pulumi.interpolate`postgresql://${login.role}:${login.password}@${args.database.hostAndPort}`;
    const vault = args.release.vault.isNeeded ? this.vaultOf(args) : [];
    return [
      pulumi.output(`SERVICE=${service.name}`),
      pulumi.output(`ENVIRONMENT=${args.environment}`),
      pulumi.output(`RELEASE=${args.release.id}`),
      pulumi.output(`RELEASE_PIN=${args.target.pin}`),
      pulumi.output(`PORT=${port}`),
      pulumi.interpolate`DATABASE_URL=${server}/tenant_{tenant}`,
      pulumi.interpolate`REGISTRY_URL=${server}/${args.database.registryDatabase}`,
      ...vault,
    ];
  }

  private vaultOf(args: FleetArgs): pulumi.Output<string>[] {
    const login = args.secrets?.logins[args.release.id];
    if (args.secrets === undefined || login === undefined)
      throw new pulumi.RunError(
        `fleet ${args.target.pin} needs Vault, but the stack file says present.vault: false; coordinator promote ${args.release.id} adds it`,
      );
    return [
      pulumi.interpolate`VAULT_ADDR=${args.secrets.address}`,
      pulumi.interpolate`VAULT_ROLE_ID=${login.roleId}`,
      pulumi.interpolate`VAULT_SECRET_ID=${login.secretId}`,
      pulumi.interpolate`TRANSIT_MOUNT=${args.secrets.transitMount}`,
    ];
  }
}

/** Containers only, dependencies first; the catalog has refused circles. */
function startOrder(services: readonly Service[]): Service[] {
  const containers = services.filter((service) => service.kind === "container");
  const placed: Service[] = [];
  const place = (service: Service): void => {
    if (placed.includes(service)) return;
    for (const other of containers) if (service.dependsOn.includes(other.name)) place(other);
    placed.push(service);
  };
  containers.forEach(place);
  return placed;
}
