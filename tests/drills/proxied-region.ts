import type { RegionTarget } from "../../migrations/wave-inputs.ts";
import { getPostgresUrl, getVault } from "../servers.ts";
import type { PostgresProxy } from "./postgres-proxy.ts";
import type { VaultProxy } from "./vault-proxy.ts";

/** What stands between an engine and its servers; without one it goes to them directly. */
export interface Between {
  readonly postgres?: Pick<PostgresProxy, "url">;
  readonly vault?: Pick<VaultProxy, "address">;
  /** Of the engine under test. @default the root token */
  readonly vaultToken?: string;
}

let regions = 0;

/** The region as an engine sees it that is started from now on. Each has variables of its own: several may run at once. */
export function proxiedRegion({ postgres, vault, vaultToken }: Between): RegionTarget {
  const name = `DRL_REGION_${(regions += 1)}`;
  process.env[`${name}_POSTGRES_URL`] = postgres?.url ?? getPostgresUrl();
  process.env[`${name}_VAULT_ADDR`] = vault?.address ?? getVault().address;
  process.env[`${name}_VAULT_TOKEN`] = vaultToken ?? getVault().token;
  return {
    name: "local",
    postgresUrl: `env:${name}_POSTGRES_URL`,
    vaultAddress: `env:${name}_VAULT_ADDR`,
    vaultToken: `env:${name}_VAULT_TOKEN`,
  };
}
