import { Container } from "@pulumi/docker/container.js";
import type { Provider } from "@pulumi/docker/provider.js";
import * as pulumi from "@pulumi/pulumi";
import { type KeeperArgs, keeperCredentials, keeperMemoryMib, keeperType } from "./keeper.ts";

export interface DockerKeeperArgs extends KeeperArgs {
  readonly docker: Provider;
  readonly port: number;
}

/**
 * The small worker that drains captured changes between updates, so that going back stays a matter of seconds. Stopped it
 * makes things slower, never wrong; removing it loses nothing. Here: a container on the region's Docker host.
 */
export class DockerKeeper extends pulumi.ComponentResource {
  constructor(name: string, args: DockerKeeperArgs, opts?: pulumi.ComponentResourceOptions) {
    super(keeperType, name, {}, opts);
    const credentials = Object.entries(keeperCredentials(args));
    new Container(
      name,
      {
        name: `rc-${args.environment}-${args.port}-keeper-${args.region}`,
        image: args.image.image,
        envs: [
          `ENVIRONMENT=${args.environment}`,
          `REGION=${args.region}`,
          `PORT=${args.port}`,
          ...credentials.map(([variable, value]) => pulumi.interpolate`${variable}=${value}`),
        ],
        networkMode: "host",
        restart: "always",
        mustRun: true,
        // Requests in flight are answered before the container ends.
        destroyGraceSeconds: 15,
        memory: keeperMemoryMib,
        healthcheck: {
          tests: ["CMD", "/node", "/service/health.mjs"],
          interval: "5s",
          timeout: "5s",
          startPeriod: "60s",
          retries: 3,
        },
        wait: true,
        waitTimeout: 90,
      },
      { parent: this, provider: args.docker, deleteBeforeReplace: true, replaceOnChanges: ["healthcheck"] },
    );
    this.registerOutputs();
  }
}
