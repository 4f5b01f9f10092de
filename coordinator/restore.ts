import type { Command } from "commander";
import { restoreBackup } from "../migrations/backup/restore-backup.ts";
import { planRestore, RestoreRefusedError } from "../migrations/backup/restore-plan.ts";
import type { RestoreTarget } from "../migrations/backup/restore-plan.ts";
import { findWave } from "../migrations/registry/selector.ts";
import type { Registry } from "../migrations/registry/registry.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { rolloutOf } from "../releases/rollout.ts";
import { chooseTenants, getBackupFolder, transitOf, withRegistry } from "./chosen-tenants.ts";
import type { ChosenTenant } from "./chosen-tenants.ts";
import { recorded } from "./evidence/record-act.ts";
import { Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { runCommand } from "./terminal.ts";

interface RestoreOptions extends CommonOptions {
  readonly tenant: string;
  readonly backup?: string;
  readonly dryRun?: boolean;
}

export function registerRestore(program: Command, surroundings: Surroundings): void {
  withCommonOptions(program.command("restore").description("make a tenant what it was when a dump was taken"))
    .requiredOption("--tenant <id>", "whom")
    .option("--backup <id>", "which dump (default: the newest; see coordinator backup list)")
    .option("--dry-run", "only say whether it may be done, and what it would bring back")
    .addHelpText(
      "after",
      "\nThe tenant must be in maintenance, and stays in it. Its present database is put aside, not dropped.\n\nExample:\n  coordinator maintenance staging on --tenant acme\n  coordinator restore --env staging --tenant acme",
    )
    .action(async (options: RestoreOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => restore(options, surroundings)));
    });
}

/** @throws {Refusal} no-go with every reason, before anything was changed */
export async function restore(options: RestoreOptions, surroundings: Surroundings): Promise<Report> {
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  getBackupFolder(environment);
  const [chosen] = await chooseTenants(environment, { tenant: [options.tenant] });
  if (chosen === undefined) throw new Error(`tenant ${options.tenant} is not in ${environment.name}`);
  return withRegistry(chosen.region, (registry) => restoreChosen(environment, chosen, registry, options, surroundings));
}

async function restoreChosen(
  environment: Environment,
  chosen: ChosenTenant,
  registry: Registry,
  options: RestoreOptions,
  surroundings: Surroundings,
): Promise<Report> {
  const { terminal } = surroundings;
  const target = targetOf(environment, chosen, registry);
  const { id } = chosen.tenant;
  const plan = await planRestore(target, options.backup).catch((error: unknown) => {
    throw error instanceof RestoreRefusedError ? new Refusal("no-go", error.reasons) : error;
  });
  const { manifest, release } = plan;
  const lost = [
    `what was written since ${manifest.takenAt} (write-ahead log ${manifest.lsn})`,
    "flags, holds, records of promotions, tags and wave of the tenant: they stay as they are",
    "settings of the database itself (ALTER DATABASE .. SET); make them again if you use some",
    "other tenants, Vault, the fleets: nothing of them is touched",
  ].map((line) => `not restored: ${line}`);
  const what = `${id} as of ${manifest.takenAt}, on ${release.pin}, schema ${manifest.schemaRevision}`;
  if (options.dryRun === true) {
    const data = { environment: environment.name, tenant: id, backup: manifest.id, pin: release.pin };
    return { outcome: "go", text: [`may be restored: ${what}`, ...lost].join("\n"), data };
  }
  terminal.stderr(`restoring ${id} from ${manifest.id} ...\n`);
  const act = { act: "restore", notes: [what, `from ${manifest.id}`] } as const;
  const result = await recorded(environment, act, surroundings, () => restoreBackup(target, plan));
  const text = [
    result.status === "finished"
      ? `${what}: was in place already, the registry knows it now`
      : `restored: ${what}, ${result.rows} rows, equal to the manifest table by table`,
    ...lost,
    ...(result.previous === undefined
      ? []
      : [`put aside and closed: database ${result.previous}; it goes with DROP DATABASE ${result.previous}`]),
    `in maintenance still; look at it, then: coordinator maintenance ${environment.name} off --tenant ${id}`,
  ].join("\n");
  return { outcome: "go", text, data: { environment: environment.name, tenant: id, ...result } };
}

function targetOf(environment: Environment, { tenant, region }: ChosenTenant, registry: Registry): RestoreTarget {
  const rollout = rolloutOf(environment);
  // In maintenance a tenant keeps its wave; a probe has none and runs whatever runs.
  const name = findWave(environment.waves, tenant)?.name;
  const wave = rollout.waves.find((each) => each.name === name);
  const releases =
    wave === undefined
      ? rollout.fleets.map((fleet) => fleet.target)
      : [wave.target, ...(wave.back === undefined ? [] : [wave.back])];
  return {
    environment: environment.name,
    region,
    tenant,
    folder: getBackupFolder(environment),
    transit: transitOf(environment, region),
    registry,
    releases,
    releaseRoles: rollout.targets.map(({ role }) => role),
  };
}
