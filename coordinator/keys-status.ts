import Table from "cli-table3";
import { countableClasses, countRowsByKey } from "../migrations/keys/key-census.ts";
import type { KeyRows } from "../migrations/keys/key-census.ts";
import { KeysetHistory } from "../migrations/keys/keyset-history.ts";
import { oldestKekOfDumps } from "../migrations/keys/live-backups.ts";
import { primaryLimits } from "../migrations/keys/new-primary.ts";
import { countByVersion } from "../migrations/keys/rotate-kek.ts";
import { longestCacheAgeMs } from "../migrations/vault/keyring.ts";
import { KeysetTable } from "../migrations/vault/keyset-table.ts";
import type { Environment } from "../releases/environment.ts";
import { chooseTenants, findBackupFolder, forEachTenant, transitOf } from "./chosen-tenants.ts";
import type { TenantChoice } from "./chosen-tenants.ts";
import type { Report } from "./outcome.ts";

/** One class of a tenant's keysets. */
interface ClassStatus {
  readonly cls: string;
  readonly version: number;
  readonly primaryKeyId: number;
  readonly primaryAgeDays: number;
  /** Added and not sealing yet. */
  readonly waitingKeyId?: number;
  readonly keys: readonly { readonly id: number; readonly status: string; readonly rows?: number }[];
}

/** Keys of the chosen tenants: versions, ages, what is due. Reads only; `census` counts the rows of every key. */
export async function showKeys(
  environment: Environment,
  options: TenantChoice & { readonly census?: boolean },
): Promise<Report> {
  const folder = findBackupFolder(environment);
  const { results, faults } = await forEachTenant(
    await chooseTenants(environment, options),
    async ({ tenant, region }, client) => {
      const transit = transitOf(environment, region);
      const keysets = new KeysetTable(client, tenant.id);
      const there = await client.query("SELECT WHERE to_regclass('rc.keyset') IS NOT NULL");
      if (there.rowCount === 0 || !(await keysets.hasAny()))
        return { tenant: tenant.id, classes: [], warnings: [], wrappedBy: {} };
      const kek = await transit.getKek(tenant.id);
      const classes: ClassStatus[] = [];
      for (const cls of [...countableClasses(), "verify"]) {
        const history = await KeysetHistory.read(client, transit, tenant.id, cls);
        if (history === undefined) continue;
        const isCounted = options.census === true && countableClasses().includes(cls);
        classes.push(classStatus(history, isCounted ? await countRowsByKey(client, cls) : undefined));
      }
      const oldestBackup = folder && (await oldestKekOfDumps(folder, tenant.id));
      const { latestVersion, latestVersionAt, minDecryptionVersion } = kek;
      const wrappedBy = await countByVersion(keysets);
      const found = { latestVersion, latestVersionAt, minDecryptionVersion, oldestBackup };
      return {
        tenant: tenant.id,
        kek: found,
        wrappedBy,
        classes,
        warnings: warningsOf(environment, tenant.id, classes),
      };
    },
  );
  const table = new Table({
    head: ["tenant", "KEK", "opens from", "backup needs", "class", "primary key", "age", "keys"],
    style: { head: [], border: [] },
  });
  for (const { tenant, kek, classes } of results)
    for (const { cls, primaryKeyId, primaryAgeDays, keys } of classes)
      table.push([
        tenant,
        `v${kek?.latestVersion}`,
        `v${kek?.minDecryptionVersion}`,
        kek?.oldestBackup === undefined ? "-" : `v${kek.oldestBackup}`,
        cls,
        primaryKeyId,
        `${primaryAgeDays} d`,
        keys.map(({ id, status, rows }) => `${id} ${status}${rows === undefined ? "" : `, ${rows} rows`}`).join("\n"),
      ]);
  const none = results.filter(({ classes }) => classes.length === 0).map(({ tenant }) => tenant);
  const text = [
    ...faults,
    table.toString(),
    ...results.flatMap(({ warnings }) => warnings),
    ...(none.length === 0 ? [] : [`without keysets: ${none.join(", ")}`]),
  ].join("\n");
  const data = { environment: environment.name, tenants: results, ...(faults.length === 0 ? {} : { faults }) };
  return { outcome: faults.length === 0 ? "go" : "error", text, data };
}

function classStatus(history: KeysetHistory, census: readonly KeyRows[] | undefined): ClassStatus {
  const { newest, waiting, cls } = history;
  const counts = new Map(census?.map(({ keyId, rows }) => [keyId, rows]));
  return {
    cls,
    version: newest.version,
    primaryKeyId: newest.keyset.primaryKeyId,
    primaryAgeDays: Math.floor(history.primaryAgeMs / 86_400_000),
    ...(waiting === undefined ? {} : { waitingKeyId: waiting.keyId }),
    keys: newest.keyset.keys.map(({ id, status }) => ({
      id,
      status,
      ...(census === undefined ? {} : { rows: counts.get(id) ?? 0 }),
    })),
  };
}

function warningsOf({ name }: Environment, tenant: string, classes: readonly ClassStatus[]): string[] {
  const command = `coordinator keys new-primary --env ${name} --tenant ${tenant}`;
  return classes.flatMap(({ cls, waitingKeyId, primaryAgeDays }) => [
    ...(waitingKeyId === undefined
      ? []
      : [
          `${tenant}: ${cls} key ${waitingKeyId} waits, ${longestCacheAgeMs / 60_000} minutes from when it was added; then: ${command}`,
        ]),
    ...(primaryAgeDays * 86_400_000 < primaryLimits.ageMs
      ? []
      : [`${tenant}: the primary key of ${cls} is ${primaryAgeDays} days old, due after 90: ${command}`]),
  ]);
}
