import { Container } from "@pulumi/docker/container.js";
import type { Provider } from "@pulumi/docker/provider.js";
import * as pulumi from "@pulumi/pulumi";
import { Smoke } from "../migrations/smoke.ts";
import type { Service } from "../releases/service.ts";
import { fleetCredentials } from "./fleet-credentials.ts";
import { type Fleet, type FleetArgs, fleetType, questionsFor, startOrder } from "./fleet.ts";
import { getImage } from "./images.ts";

export interface DockerFleetArgs extends FleetArgs {
  readonly docker: Provider;
  /** First port of the fleets' block: release n has `basePort + 20 * (n - 1)` and the 19 after it. */
  readonly basePort: number;
}

/** A fleet as containers on one Docker host. */
export class DockerFleet extends pulumi.ComponentResource implements Fleet {
  readonly ready: pulumi.Output<string>;

  constructor(name: string, args: DockerFleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super(fleetType, name, args.target, opts);
    const smokes = new Map<string, Smoke>();
    for (const service of startOrder(args.release.services)) {
      const before = service.dependsOn.flatMap((other) => smokes.get(other) ?? []);
      smokes.set(service.name, this.start(name, service, args, before));
    }
    this.ready = pulumi.all([...smokes.values()].map((smoke) => smoke.summary)).apply((all) => all.join("; "));
    this.registerOutputs({ ready: this.ready });
  }

  private start(name: string, service: Service, args: DockerFleetArgs, before: readonly Smoke[]): Smoke {
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
    return new Smoke(
      `${name}-${service.name}`,
      {
        service: service.name,
        pin: args.target.pin,
        url: `http://127.0.0.1:${port}`,
        probeTenant: args.probeTenant,
        paths: questionsFor(service, args.probeTenant),
        container: container.id,
        deadlineSeconds: service.probes.startSeconds + 30,
      },
      { parent: this, dependsOn: [container] },
    );
  }

  private environmentOf(service: Service, port: number, args: FleetArgs): pulumi.Output<string>[] {
    const credentials = Object.entries(fleetCredentials(args));
    return [
      pulumi.output(`SERVICE=${service.name}`),
      pulumi.output(`ENVIRONMENT=${args.environment}`),
      pulumi.output(`RELEASE=${args.release.id}`),
      pulumi.output(`RELEASE_PIN=${args.target.pin}`),
      pulumi.output(`PORT=${port}`),
      ...credentials.map(([variable, value]) => pulumi.interpolate`${variable}=${value}`),
    ];
  }
}
