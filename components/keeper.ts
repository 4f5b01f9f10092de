import { Container } from "@pulumi/docker/container.js";
import type { Provider } from "@pulumi/docker/provider.js";
import * as pulumi from "@pulumi/pulumi";
import type { Database } from "./database.ts";
import type { Image } from "./images.ts";
import type { Secrets } from "./secrets.ts";

export interface KeeperArgs {
  readonly environment: string;
  readonly region: string;
  readonly image: Image;
  readonly docker: Provider;
  readonly port: number;
  readonly database: Database;
  readonly secrets: Secrets;
}

/**
 * The small worker that drains captured changes between updates, so that going back stays a matter of seconds. Stopped it
 * makes things slower, never wrong; removing it loses nothing.
 */
export class Keeper extends pulumi.ComponentResource {
  constructor(name: string, args: KeeperArgs, opts?: pulumi.ComponentResourceOptions) {
    super("release-coordinator:components:Keeper", name, {}, opts);
    const { role, password } = args.database.keeperLogin;
    const login = args.secrets.keeperLogin;
    new Container(
      name,
      {
        name: `rc-${args.environment}-${args.port}-keeper-${args.region}`,
        image: args.image.image,
        envs: [
          `ENVIRONMENT=${args.environment}`,
          `REGION=${args.region}`,
          `PORT=${args.port}`,
          pulumi.interpolate`POSTGRES_URL=postgresql://${role}:${password}@${args.database.hostAndPort}/postgres`,
          pulumi.interpolate`VAULT_ADDR=${args.secrets.address}`,
          pulumi.interpolate`VAULT_ROLE_ID=${login.roleId}`,
          pulumi.interpolate`VAULT_SECRET_ID=${login.secretId}`,
          pulumi.interpolate`TRANSIT_MOUNT=${args.secrets.transitMount}`,
        ],
        networkMode: "host",
        restart: "always",
        mustRun: true,
        // Requests in flight are answered before the container ends.
        destroyGraceSeconds: 15,
        memory: 256,
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
