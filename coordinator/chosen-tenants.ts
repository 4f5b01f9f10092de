import type pg from "pg";
import { BackupFolder } from "../migrations/backup/backup-folder.ts";
import { connect } from "../migrations/postgres/connect.ts";
import { withoutRows } from "../migrations/postgres/errors.ts";
import { resolveReference } from "../migrations/reference.ts";
import { registryUrl } from "../migrations/registry/registry-session.ts";
import { Registry } from "../migrations/registry/registry.ts";
import { findWave } from "../migrations/registry/selector.ts";
import type { Tenant } from "../migrations/registry/tenants.ts";
import { Transit } from "../migrations/vault/transit.ts";
import type { RegionTarget } from "../migrations/wave-inputs.ts";
import type { Environment } from "../releases/environment.ts";
import { regionTargets } from "./region-targets.ts";

/** A tenant that a command is for, and where it lives. */
export interface ChosenTenant {
  readonly tenant: Tenant;
  readonly region: RegionTarget;
}

/** `--tenant` and `--wave` of a command; without them all tenants, probes too. */
export interface TenantChoice {
  readonly tenant?: readonly string[];
  readonly wave?: string;
}

/**
 * Tenants of all regions, in the order of regions and ids, those that are being onboarded left out.
 * @throws naming tenants and waves that do not exist, and asked-for tenants that are still being onboarded
 */
export async function chooseTenants(environment: Environment, choice: TenantChoice): Promise<ChosenTenant[]> {
  const { tenant: ids, wave } = choice;
  if (wave !== undefined && !environment.waves.some(({ name }) => name === wave))
    throw new Error(`wave ${wave} is unknown; allowed: ${environment.waves.map(({ name }) => name).join(", ")}`);
  const known: ChosenTenant[] = [];
  for (const region of regionTargets(environment)) {
    const found = await withRegistry(region, (registry) => registry.tenants.list({ region: region.name }));
    known.push(...found.map((tenant) => ({ tenant, region })));
  }
  const all = known.filter(({ tenant }) => tenant.status !== "onboarding");
  const unfinished = known.filter(({ tenant }) => tenant.status === "onboarding" && ids?.includes(tenant.id));
  if (unfinished.length > 0)
    throw new Error(
      `${unfinished.map(({ tenant }) => tenant.id).join(", ")}: still being onboarded, so not served; finish with pulumi up -s ${environment.name}, or leave it out`,
    );
  const unknown = (ids ?? []).filter((id) => !all.some(({ tenant }) => tenant.id === id));
  if (unknown.length > 0)
    throw new Error(
      `${unknown.join(", ")}: not in ${environment.name}; coordinator status --env ${environment.name} shows who is`,
    );
  return all.filter(
    ({ tenant }) =>
      (ids === undefined || ids.includes(tenant.id)) &&
      (wave === undefined || findWave(environment.waves, tenant)?.name === wave),
  );
}

/** Does one thing for each tenant, one after another; a failed one stops no other. */
export async function forEachTenant<T>(
  chosen: readonly ChosenTenant[],
  work: (chosen: ChosenTenant, client: pg.Client) => Promise<T>,
): Promise<{ readonly results: readonly T[]; readonly faults: readonly string[] }> {
  const results: T[] = [];
  const faults: string[] = [];
  for (const one of chosen) {
    const { tenant, region } = one;
    try {
      const url = resolveReference(region.postgresUrl);
      const database = tenant.database;
      const client = await connect({
        url,
        database,
        role: "rc_migrator",
        applicationName: `rc-coordinator ${tenant.id}`,
      });
      try {
        results.push(await work(one, client));
      } finally {
        await client.end();
      }
    } catch (error) {
      const { message } = withoutRows(error);
      faults.push(message.includes(tenant.id) ? message : `tenant ${tenant.id}: ${message}`);
    }
  }
  return { results, faults };
}

/** The registry of one region, open while `work` runs. */
export async function withRegistry<T>(region: RegionTarget, work: (registry: Registry) => Promise<T>): Promise<T> {
  const registry = new Registry(registryUrl(resolveReference(region.postgresUrl)));
  try {
    return await work(registry);
  } finally {
    await registry.close();
  }
}

/** The KEKs of a region. @throws when the stack file gives it no Vault */
export function transitOf(environment: Environment, region: RegionTarget): Transit {
  const { name, vaultAddress, vaultToken, transitMount } = region;
  if (vaultAddress === undefined || vaultToken === undefined)
    throw new Error(
      `region ${name} of ${environment.name} has no Vault, so there are no keys; name it in the stack file and set present.vault: true`,
    );
  return new Transit({
    address: resolveReference(vaultAddress),
    token: resolveReference(vaultToken),
    mount: transitMount ?? `transit-${environment.name}`,
  });
}

/** The environment's own dumps; undefined when it makes none. */
export function findBackupFolder({ name, backup }: Environment): BackupFolder | undefined {
  return backup?.kind === "dump" ? new BackupFolder(resolveReference(backup.to), name) : undefined;
}

/** @throws naming what the stack file would have to say */
export function getBackupFolder(environment: Environment): BackupFolder {
  const folder = findBackupFolder(environment);
  if (folder !== undefined) return folder;
  throw new Error(
    `${environment.name} has ${environment.backup === undefined ? "no backup" : `backup.kind ${environment.backup.kind}`} in its stack file, so there are no dumps of ours; ` +
      (environment.backup === undefined
        ? "add backup: { kind: dump, to: env:NAME, keepDays: 7 }"
        : "recover with your platform's own means: docs/backup.md"),
  );
}
