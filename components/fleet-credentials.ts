import * as pulumi from "@pulumi/pulumi";
import type { FleetArgs } from "./fleet.ts";

/**
 * How the services of a fleet reach PostgreSQL and, where the release needs it, Vault: variables of the service contract
 * with their values, secrets among them.
 * @throws {pulumi.RunError} no role for the release, or no Vault for a release that needs it
 */
export function fleetCredentials({
  database,
  secrets,
  release,
  target,
}: Pick<FleetArgs, "database" | "secrets" | "release" | "target">): Readonly<Record<string, pulumi.Output<string>>> {
  const login = database.logins[target.role];
  if (login === undefined) throw new pulumi.RunError(`fleet ${target.pin}: no database role ${target.role}`);
  const server = pulumi.interpolate`postgresql://${login.role}:${login.password}@${database.hostAndPort}`;
  const urls = {
    DATABASE_URL: pulumi.interpolate`${server}/tenant_{tenant}${database.urlOptions}`,
    REGISTRY_URL: pulumi.interpolate`${server}/${database.registryDatabase}${database.urlOptions}`,
  };
  if (!release.vault.isNeeded) return urls;
  const vault = secrets?.logins[release.id];
  if (secrets === undefined || vault === undefined)
    throw new pulumi.RunError(
      `fleet ${target.pin} needs Vault, but the stack file says present.vault: false; coordinator promote ${release.id} adds it`,
    );
  return {
    ...urls,
    VAULT_ADDR: secrets.address,
    VAULT_ROLE_ID: vault.roleId,
    VAULT_SECRET_ID: vault.secretId,
    TRANSIT_MOUNT: secrets.transitMount,
  };
}
