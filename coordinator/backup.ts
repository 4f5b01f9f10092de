import Table from "cli-table3";
import type { Command } from "commander";
import type { ListedBackup } from "../migrations/backup/backup-folder.ts";
import { takeBackup } from "../migrations/backup/take-backup.ts";
import { connectOperator } from "../migrations/onboarding/tenant-database.ts";
import { resolveReference } from "../migrations/reference.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { chooseTenants, getBackupFolder, transitOf } from "./chosen-tenants.ts";
import type { TenantChoice } from "./chosen-tenants.ts";
import { recordAct } from "./evidence/record-act.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { regionTargets } from "./region-targets.ts";
import { runCommand } from "./terminal.ts";

type BackupOptions = CommonOptions & TenantChoice;

export function registerBackup(program: Command, surroundings: Surroundings): void {
  const backup = program.command("backup").description("sealed dumps of tenants");
  const { terminal, exit } = surroundings;
  const add = (
    name: string,
    about: string,
    help: string,
    work: (environment: Environment, options: BackupOptions) => Promise<Report>,
  ) =>
    withCommonOptions(backup.command(name).description(about))
      .option("--tenant <ids...>", "only these tenants (default: all)")
      .option("--wave <name>", "only the tenants of this wave")
      .addHelpText("after", help)
      .action(async (options: BackupOptions) =>
        exit(
          await runCommand(terminal, options.json ?? false, async () => {
            const file = await openStackFile(options, surroundings);
            const environment = parseEnvironment(file.environment(), file.path);
            const done = await work(environment, options);
            const { outcome, text } = done;
            if (name !== "list")
              await recordAct(
                environment,
                { act: "backup", outcome, notes: [name, ...text.split("\n")] },
                surroundings,
              );
            return done;
          }),
        ),
      );
  add(
    "create",
    "dump tenants now",
    "\nUpdates do it themselves before they change data for the first time.\n\nExample:\n  coordinator backup create --env staging --tenant acme",
    create,
  );
  add(
    "list",
    "dumps that remain, until when, and databases that a restore has replaced",
    "\nReads only.\n\nExample:\n  coordinator backup list --env staging",
    list,
  );
  add(
    "expire",
    "remove the dumps whose days are over",
    "\nEvery update does it for the tenants that it dumps.\n\nExample:\n  coordinator backup expire --env staging",
    expire,
  );
}

async function create(environment: Environment, options: BackupOptions): Promise<Report> {
  const folder = getBackupFolder(environment);
  const keepDays = environment.backup?.kind === "dump" ? environment.backup.keepDays : 1;
  const lines: string[] = [];
  const faults: string[] = [];
  const made: object[] = [];
  for (const { tenant, region } of await chooseTenants(environment, options)) {
    try {
      const transit = transitOf(environment, region);
      const { id, database } = tenant;
      const request = { environment: environment.name, region, tenant: id, database, folder, transit, keepDays };
      const manifest = await takeBackup({ ...request, before: "request" });
      lines.push(`${id}: ${manifest.id}, ${manifest.sealed.bytes} bytes, kept until ${manifest.expiresAt}`);
      made.push({ tenant: id, backup: manifest.id, bytes: manifest.sealed.bytes, expiresAt: manifest.expiresAt });
    } catch (error) {
      faults.push((error as Error).message);
    }
  }
  const data = { environment: environment.name, backups: made, ...(faults.length === 0 ? {} : { faults }) };
  return { outcome: faults.length === 0 ? "go" : "error", text: [...faults, ...lines].join("\n"), data };
}

/** Dumps of all tenants that have some, also of those that are no tenants any more. */
async function remaining(environment: Environment, options: BackupOptions): Promise<ListedBackup[]> {
  const folder = getBackupFolder(environment);
  const isAll = options.tenant === undefined && options.wave === undefined;
  const tenants = isAll
    ? await folder.tenants()
    : (await chooseTenants(environment, options)).map(({ tenant }) => tenant.id);
  return (await Promise.all(tenants.map((tenant) => folder.list(tenant)))).flat();
}

async function list(environment: Environment, options: BackupOptions): Promise<Report> {
  const backups = await remaining(environment, options);
  const replaced = await replacedDatabases(environment);
  const table = new Table({
    head: ["tenant", "backup", "before", "at", "schema", "KEK from", "bytes", "until"],
    style: { head: [], border: [] },
  });
  for (const { manifest, isExpired } of backups)
    table.push([
      manifest.tenant,
      manifest.id,
      manifest.before,
      manifest.pin,
      manifest.schemaRevision ?? "-",
      `v${manifest.keyVersions.oldestKek}`,
      manifest.sealed.bytes,
      `${manifest.expiresAt}${isExpired ? " (over)" : ""}`,
    ]);
  const text = [
    backups.length === 0 ? `no dump of ${environment.name} remains` : table.toString(),
    ...(backups.some(({ isExpired }) => isExpired)
      ? [`some are over: coordinator backup expire --env ${environment.name}`]
      : []),
    ...replaced.map((name) => `replaced by a restore and kept: ${name}; when nobody needs it: DROP DATABASE ${name}`),
  ].join("\n");
  const data = {
    environment: environment.name,
    backups: backups.map(({ manifest: { keyset: _keyset, mac: _mac, tables: _tables, ...rest }, isExpired }) => {
      return { ...rest, isExpired };
    }),
    replaced,
  };
  return { outcome: "go", text, data };
}

async function expire(environment: Environment, options: BackupOptions): Promise<Report> {
  const folder = getBackupFolder(environment);
  const over = (await remaining(environment, options)).filter(({ isExpired }) => isExpired);
  for (const { manifest } of over) await folder.remove(manifest.tenant, manifest.id);
  const removed = over.map(({ manifest }) => `${manifest.tenant} ${manifest.id}`);
  const text = removed.length === 0 ? "no dump is over" : `removed: ${removed.join(", ")}`;
  return { outcome: "go", text, data: { environment: environment.name, removed } };
}

/** Databases that restores have put aside, in all regions. */
async function replacedDatabases(environment: Environment): Promise<string[]> {
  const found: string[] = [];
  for (const { postgresUrl } of regionTargets(environment)) {
    const operator = await connectOperator(resolveReference(postgresUrl));
    try {
      const { rows } = await operator.query<{ name: string }>(
        "SELECT quote_ident(datname) AS name FROM pg_database WHERE datname ~ '^tenant_.*_was_[0-9a-z]+$' AND NOT datallowconn ORDER BY 1",
      );
      found.push(...rows.map(({ name }) => name));
    } finally {
      await operator.end();
    }
  }
  return found;
}
