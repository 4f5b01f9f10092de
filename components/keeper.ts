import * as pulumi from "@pulumi/pulumi";
import type { Database } from "./database.ts";
import type { Image } from "./images.ts";
import type { Secrets } from "./secrets.ts";

/** What a keeper needs to know, whatever it runs on. */
export interface KeeperArgs {
  readonly environment: string;
  readonly region: string;
  readonly image: Image;
  readonly database: Database;
  readonly secrets: Secrets;
}

/** Type of every keeper in the state, whatever it runs on. */
export const keeperType = "release-coordinator:components:Keeper";

/** MiB of memory that a keeper gets. */
export const keeperMemoryMib = 256;

/** How a keeper reaches its region's servers: variables with their values, secrets among them. */
export function keeperCredentials({
  database,
  secrets,
}: Pick<KeeperArgs, "database" | "secrets">): Readonly<Record<string, pulumi.Output<string>>> {
  const { role, password } = database.keeperLogin;
  return {
    POSTGRES_URL: pulumi.interpolate`postgresql://${role}:${password}@${database.hostAndPort}/postgres${database.urlOptions}`,
    VAULT_ADDR: secrets.address,
    VAULT_ROLE_ID: secrets.keeperLogin.roleId,
    VAULT_SECRET_ID: secrets.keeperLogin.secretId,
    TRANSIT_MOUNT: secrets.transitMount,
  };
}
