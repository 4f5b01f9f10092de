import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findFreePort } from "./servers/free-port.ts";

/** Ports on 127.0.0.1, chosen once for a platform. */
export interface Endpoints {
  readonly postgresPort: number;
  readonly vaultPort: number;
  readonly vaultClusterPort: number;
  readonly gatewayPort: number;
  readonly gatewayAdminPort: number;
  /** First of `fleetPorts` ports in a row for the containers. */
  readonly fleetBasePort: number;
}

/** Ports that belong to the fleets: 20 a release. */
export const fleetPorts = 100;

/** Every single-port endpoint with the name of its server. */
export const singlePorts = {
  postgresPort: "PostgreSQL",
  vaultPort: "Vault",
  vaultClusterPort: "Vault's raft",
  gatewayPort: "the gateway",
  gatewayAdminPort: "the gateway's admin page",
} as const satisfies Partial<Record<keyof Endpoints, string>>;

export const endpointsFile = (homeFolder: string): string => join(homeFolder, "endpoints.json");

/** The ports of a platform, or undefined when none were chosen yet. */
export async function findEndpoints(homeFolder: string): Promise<Endpoints | undefined> {
  try {
    return JSON.parse(await readFile(endpointsFile(homeFolder), "utf8")) as Endpoints;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`${endpointsFile(homeFolder)} is no JSON; delete it and run \`make up\` to choose ports again`, {
      cause: error,
    });
  }
}

/** The ports of a platform; chosen on first use and kept in `endpoints.json`. */
export async function ensureEndpoints(homeFolder: string): Promise<Endpoints> {
  const known = await findEndpoints(homeFolder);
  if (known !== undefined) return known;
  const taken = new Set<number>();
  const next = async (size = 1): Promise<number> => {
    const first = await findFreePort(size, taken);
    for (let port = first; port < first + size; port++) taken.add(port);
    return first;
  };
  const endpoints: Endpoints = {
    postgresPort: await next(),
    vaultPort: await next(),
    vaultClusterPort: await next(),
    gatewayPort: await next(),
    gatewayAdminPort: await next(),
    fleetBasePort: await next(fleetPorts),
  };
  await mkdir(homeFolder, { recursive: true, mode: 0o700 });
  const file = endpointsFile(homeFolder);
  await writeFile(`${file}.new`, `${JSON.stringify(endpoints, undefined, 2)}\n`);
  await rename(`${file}.new`, file);
  return endpoints;
}
