import pg from "pg";
import { onboardTenants } from "../../migrations/onboarding.ts";
import type { OnboardingRequest } from "../../migrations/onboarding.ts";
import { tenantDatabase } from "../../migrations/registry/tenant-id.ts";
import { createDatabase, databaseUrl, dropDatabase, getPostgresUrl, getVault } from "../servers.ts";

export const r1 = {
  id: "r1",
  hash: "111111111111",
  pin: "r1@111111111111",
  number: 1,
  role: "platform_r1",
  schema: { expandTo: "0001", contractTo: "0001", oldestOn: { expand: "r1", contract: "r1" } },
  sinkMirrors: [],
};
export const r2 = {
  id: "r2",
  hash: "222222222222",
  pin: "r2@222222222222",
  number: 2,
  role: "platform_r2",
  schema: { expandTo: "0002", contractTo: "0003", oldestOn: { expand: "r1", contract: "r2" } },
  sinkMirrors: ["prompt-encryption"],
};

/** A registry of its own on the test server, and what one needs to onboard tenants into it. */
export interface OnboardingFixture {
  readonly registryUrl: string;
  readonly region: OnboardingRequest["region"];
  onboard(
    release: typeof r1 | typeof r2,
    ids: readonly string[],
    changes?: Partial<OnboardingRequest>,
  ): ReturnType<typeof onboardTenants>;
  /** Runs statements in a tenant's database; rows of the last one. @param login @default the superuser */
  query(tenant: string, statements: readonly string[], login?: { user: string; password: string }): Promise<unknown[]>;
  close(): Promise<void>;
}

/** @param name part of the registry database's name: test files may run at the same time */
export async function openFixture(name: string): Promise<OnboardingFixture> {
  const registryUrl = await createDatabase(`onb_registry_${name}`);
  const { address, token } = getVault();
  // The names are the test's own: nothing here may depend on what stands in a developer's shell.
  process.env["ONB_POSTGRES_URL"] = getPostgresUrl();
  process.env["ONB_VAULT_ADDR"] = address;
  process.env["ONB_VAULT_TOKEN"] = token;
  const mount = await fetch(`${address}/v1/sys/mounts/transit-onb`, {
    method: "POST",
    headers: { "X-Vault-Token": token },
    body: JSON.stringify({ type: "transit" }),
  });
  if (!mount.ok && !(await mount.text()).includes("already in use"))
    throw new Error(`Vault did not make the transit mount: ${mount.status}`);
  const region = {
    name: "local",
    postgresUrl: "env:ONB_POSTGRES_URL",
    vaultAddress: "env:ONB_VAULT_ADDR",
    vaultToken: "env:ONB_VAULT_TOKEN",
  };
  const made = new Set<string>();
  return {
    registryUrl,
    region,
    onboard(release, ids, changes = {}) {
      for (const id of ids) made.add(id);
      return onboardTenants({
        environment: "onb",
        region,
        release,
        tenants: ids.map((id) => ({ id })),
        releaseRoles: ["platform_r1", "platform_r2"],
        registryUrl,
        ...changes,
      });
    },
    async query(tenant, statements, login) {
      const url = new URL(databaseUrl(tenantDatabase(tenant)));
      if (login !== undefined) [url.username, url.password] = [login.user, login.password];
      const client = new pg.Client({ connectionString: url.href });
      await client.connect();
      try {
        let rows: unknown[] = [];
        for (const statement of statements) ({ rows } = await client.query(statement));
        return rows;
      } finally {
        await client.end();
      }
    },
    async close() {
      for (const id of made) await dropDatabase(tenantDatabase(id));
      await dropDatabase(`onb_registry_${name}`);
    },
  };
}
