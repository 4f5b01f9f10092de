import type { RegionTarget } from "../migrations/wave-inputs.ts";
import type { Environment } from "../releases/environment.ts";

/** Where the servers of every region are, as references: the same as components/platform.ts hands to the nodes. */
export function regionTargets({ name, regions, present }: Environment): RegionTarget[] {
  return regions.map((region) => ({
    name: region.name,
    postgresUrl: region.postgres.url,
    ...(present.vault && region.vault !== undefined
      ? { vaultAddress: region.vault.address, vaultToken: region.vault.token, transitMount: `transit-${name}` }
      : {}),
  }));
}
