import { InvalidArgumentError } from "commander";
import type { Command } from "commander";
import { readProof } from "../migrations/backup/proof.ts";
import { disableKey, tendPrimary } from "../migrations/keys/new-primary.ts";
import { countableClasses } from "../migrations/keys/key-census.ts";
import { oldestKekAt, oldestKekOfDumps } from "../migrations/keys/live-backups.ts";
import { rotateKek } from "../migrations/keys/rotate-kek.ts";
import { resolveReference } from "../migrations/reference.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { chooseTenants, findBackupFolder, forEachTenant, transitOf } from "./chosen-tenants.ts";
import type { TenantChoice } from "./chosen-tenants.ts";
import { recordAct } from "./evidence/record-act.ts";
import { showKeys } from "./keys-status.ts";
import type { Outcome, Report } from "./outcome.ts";
import { openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { runCommand } from "./terminal.ts";

export type KeysOptions = CommonOptions & TenantChoice;

export function registerKeys(program: Command, surroundings: Surroundings): void {
  const keys = program.command("keys").description("keys of tenants: rotate, replace, put out of use, look at");
  const { terminal, exit } = surroundings;
  const run = async (
    options: KeysOptions,
    work: (environment: Environment) => Promise<Report>,
    { changes = true }: { readonly changes?: boolean } = {},
  ) =>
    exit(
      await runCommand(terminal, options.json ?? false, async () => {
        const file = await openStackFile(options, surroundings);
        const environment = parseEnvironment(file.environment(), file.path);
        const done = await work(environment);
        const { outcome, text } = done;
        if (changes) await recordAct(environment, { act: "keys", outcome, notes: text.split("\n") }, surroundings);
        return done;
      }),
    );
  chosen(keys.command("rotate").description("a new version of the tenants' KEKs; keysets are wrapped anew, rows stay"))
    .option("--min-age-hours <n>", "leave alone KEKs with a younger version", wholeHours, 1)
    .addHelpText(
      "after",
      "\nSafe to repeat and to kill: what was begun is ended first. Versions that a live backup needs stay in use.\n\nExample:\n  coordinator keys rotate --env prod --wave canary",
    )
    .action((options: KeysOptions & { minAgeHours: number }) =>
      run(options, (environment) => rotate(environment, options)),
    );
  chosen(keys.command("new-primary").description("a new key that seals; the old ones go on opening"))
    .option("--due", "only where 90 days, 2^28 rows or 1 TiB are reached, and for keys that wait")
    .addHelpText(
      "after",
      "\nTwo steps, ten minutes apart: the first run adds the key, the next one promotes it.\n\nExample:\n  coordinator keys new-primary --env prod --tenant acme",
    )
    .action((options: KeysOptions & { due?: boolean }) =>
      run(options, (environment) => newPrimary(environment, options)),
    );
  withCommonOptions(keys.command("disable <key>").description("put out of use a key that opens no row any more"))
    .requiredOption("--tenant <id>", "whose key")
    .addHelpText("after", "\nExample:\n  coordinator keys disable 1234567890 --env prod --tenant acme")
    .action((key: string, options: CommonOptions & { tenant: string }) =>
      run({ ...options, tenant: [options.tenant] }, (environment) => disable(environment, key, options.tenant)),
    );
  chosen(keys.command("status").description("versions, ages and what is due"))
    .option("--census", "count the rows of every key; reads every sealed table")
    .addHelpText("after", "\nReads only.\n\nExample:\n  coordinator keys status --env prod")
    .action((options: KeysOptions & { census?: boolean }) =>
      run(options, (environment) => showKeys(environment, options), { changes: false }),
    );
}

function chosen(command: Command): Command {
  return withCommonOptions(command)
    .option("--tenant <ids...>", "only these tenants (default: all)")
    .option("--wave <name>", "only the tenants of this wave");
}

function wholeHours(value: string): number {
  const hours = Number(value);
  if (Number.isInteger(hours) && hours >= 0) return hours;
  throw new InvalidArgumentError("allowed are whole hours from 0, which rotates every KEK");
}

async function rotate(environment: Environment, options: KeysOptions & { minAgeHours: number }): Promise<Report> {
  const folder = findBackupFolder(environment);
  const point = await oldestPoint(environment);
  const { results, faults } = await forEachTenant(
    await chooseTenants(environment, options),
    async ({ tenant, region }, client) => {
      const oldestLiveBackup =
        environment.backup?.kind === "pitr"
          ? await oldestKekAt(client, point)
          : folder && (await oldestKekOfDumps(folder, tenant.id));
      const transit = transitOf(environment, region);
      const minAgeMs = options.minAgeHours * 3_600_000;
      return rotateKek({ client, transit, tenant: tenant.id, minAgeMs, oldestLiveBackup });
    },
  );
  const lines = results.map(({ tenant, status, version, minDecryptionVersion }) => {
    if (status === "none") return `${tenant}: has no keysets, nothing to rotate`;
    const held =
      minDecryptionVersion < version ? ` (versions from ${minDecryptionVersion} on open: backups need them)` : "";
    if (status === "young")
      return `${tenant}: version ${version} is younger than ${options.minAgeHours} h, left alone${held}`;
    return `${tenant}: version ${version}, every keyset wrapped by it${status === "resumed" ? ", after a run that had been cut short" : ""}${held}`;
  });
  return report(lines, faults, { environment: environment.name, tenants: results });
}

/** Oldest point to which the platform's own recovery goes back; undefined when nobody says. */
async function oldestPoint({ backup }: Environment): Promise<Date | undefined> {
  if (backup?.kind !== "pitr") return undefined;
  const command = /^(env|vault):/.test(backup.proof) ? resolveReference(backup.proof) : backup.proof;
  return (await readProof(command)).oldestRecoverablePoint;
}

async function newPrimary(environment: Environment, options: KeysOptions & { due?: boolean }): Promise<Report> {
  const { results, faults } = await forEachTenant(
    await chooseTenants(environment, options),
    async ({ tenant, region }, client) => {
      const transit = transitOf(environment, region);
      const classes = [];
      for (const cls of [...countableClasses(), "verify"]) {
        const isWanted = options.due !== true;
        const found = await tendPrimary(client, transit, tenant.id, cls, { isWanted });
        if (found !== undefined) classes.push(found);
      }
      return { tenant: tenant.id, classes };
    },
  );
  const lines = results.flatMap(({ tenant, classes }) =>
    classes.length === 0
      ? [`${tenant}: has no keysets`]
      : classes.map(({ cls, status, keyId, sealsFrom }) => {
          const when =
            sealsFrom === undefined ? "" : `; run this again after ${sealsFrom.toISOString()} to let it seal`;
          return `${tenant}: ${cls} key ${keyId} ${status}${when}`;
        }),
  );
  const isWaiting = results.some(({ classes }) => classes.some(({ sealsFrom }) => sealsFrom !== undefined));
  const data = { environment: environment.name, tenants: results };
  return report(lines, faults, data, isWaiting ? "needs-human" : "go");
}

async function disable(environment: Environment, key: string, tenant: string): Promise<Report> {
  const keyId = Number(key);
  if (!Number.isInteger(keyId) || keyId < 1 || keyId > 0xffff_ffff)
    throw new Error(
      `${JSON.stringify(key)} is no key id; coordinator keys status --env ${environment.name} shows them`,
    );
  const { faults } = await forEachTenant(
    await chooseTenants(environment, { tenant: [tenant] }),
    async ({ region }, client) => {
      for (const cls of countableClasses())
        await disableKey(client, transitOf(environment, region), tenant, keyId, cls);
    },
  );
  return report([`${tenant}: key ${keyId} opens no more`], faults, { environment: environment.name, tenant, keyId });
}

function report(
  lines: readonly string[],
  faults: readonly string[],
  data: Readonly<Record<string, unknown>>,
  outcome: Outcome = "go",
): Report {
  if (faults.length === 0) return { outcome, text: lines.join("\n") || "no tenant is chosen", data };
  return { outcome: "error", text: [...faults, ...lines].join("\n"), data: { ...data, faults } };
}
