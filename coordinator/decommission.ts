import type { Command } from "commander";
import type { Registry } from "../migrations/registry/registry.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { removeLeftovers } from "./decommission/leftovers.ts";
import { findNeeds } from "./decommission/needs.ts";
import type { Needs } from "./decommission/needs.ts";
import { deletedElsewhere, environmentWithout, needsUnprotecting, subjectOf, takeOut } from "./decommission/subject.ts";
import type { Subject } from "./decommission/subject.ts";
import { openRegistry, readFacts, readTenants } from "./environment-facts.ts";
import { recorded } from "./evidence/record-act.ts";
import type { EnvironmentStack } from "./environment-stack.ts";
import { gitPatch, pathInRepository } from "./patch.ts";
import { Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { openStack, openStackFile, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { refuseAbsentRegistry } from "./registry-absence.ts";
import { changesOutside } from "./stack-events.ts";
import type { StackFile } from "./stack-file.ts";
import { explainEnd, planMove } from "./stack-move.ts";
import { StepLog } from "./step-log.ts";
import { runCommand } from "./terminal.ts";

interface DecommissionOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly shredKeysets?: string;
}

export function registerDecommission(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program
      .command("decommission <what>")
      .description("take out for good what no tenant needs: vault, milvus, a wave, or the fleet kept for the way back"),
  )
    .option("--dry-run", "say whether it could go; change nothing")
    .option(
      "--shred-keysets <reason>",
      "vault: give up keysets that open nothing but backups made while data was sealed",
    )
    .addHelpText(
      "after",
      `
Asks the registry and every tenant's own ledger; one that needs it, or does not answer, is a refusal (exit 2 or 1) and
nothing is changed. Then two updates: the first takes the protection off (leaving: in the stack file), the second takes
it out. A fleet (named by its release, e.g. r1) is not protected: back: none, and one update.

Examples:
  coordinator decommission early --env prod --dry-run
  coordinator decommission r1 --env prod
  coordinator decommission vault --env dev`,
    )
    .action(async (what: string, options: DecommissionOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => decommission(what, options, surroundings)));
    });
}

interface Removal {
  readonly subject: Subject;
  readonly environment: Environment;
  readonly without: Environment;
  readonly file: StackFile;
  readonly stack: EnvironmentStack;
  readonly registry: Registry;
  readonly log: StepLog;
  readonly options: DecommissionOptions;
  readonly goOn: string;
}

/** @throws {Refusal} no-go while somebody needs it, before anything was changed */
export async function decommission(
  what: string,
  options: DecommissionOptions,
  surroundings: Surroundings,
): Promise<Report> {
  const log = new StepLog(surroundings.terminal.stderr);
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const subject = subjectOf(what, environment, options.env);
  const without = environmentWithout(subject, file);
  const stack = await openStack(options, surroundings);
  const registry = openRegistry(environment);
  const goOn = `coordinator decommission ${what} --env ${options.env}`;
  const removal = { subject, environment, without, file, stack, registry, log, options, goOn };
  try {
    refuseAbsentRegistry(await readFacts(environment, registry), environment);
    const needs = await log.run("ask registry and ledgers", () => refuseNeeds(removal));
    if (options.dryRun) return dryReport(removal, needs);
    const shredding = needs.keepers.length === 0 ? [] : [`keysets given up: ${options.shredKeysets}`];
    const act = { act: "decommission", notes: [`take ${subject.name} out`, ...shredding] } as const;
    const takeOutNow = async () => {
      const stopped = needsUnprotecting(subject) ? await unprotect(removal) : undefined;
      return stopped ?? (await remove(removal));
    };
    return await recorded(environment, act, surroundings, takeOutNow, ({ outcome }) => outcome);
  } finally {
    await registry.close();
  }
}

async function refuseNeeds({ subject, environment, without, file, registry, options }: Removal): Promise<Needs> {
  const needs = await findNeeds(subject, environment, without, await readTenants(environment, registry));
  const keepers = needs.keepers.map(({ id }) => id);
  const isGivenUp = (options.shredKeysets ?? "").trim() !== "";
  const reasons = [
    ...needs.reasons,
    ...(keepers.length === 0 || isGivenUp
      ? []
      : [
          `${keepers.length} tenants (${keepers.slice(0, 5).join(", ")}) keep keysets that Vault's keys wrap: backups made while their data ` +
            'was sealed open only with them; keep Vault, or give those backups up: --shred-keysets "<reason>"',
        ]),
  ];
  if (reasons.length > 0) throw new Refusal("no-go", [...reasons, `nothing was changed; ${file.path} is as it was`]);
  return needs;
}

/** The first update. @returns the report of one that did not end well */
async function unprotect(removal: Removal): Promise<Report | undefined> {
  const { subject, file, stack, log } = removal;
  file.addLeaving(subject.name);
  const { run } = await log.run("preview without protection", () => planMove(stack, file));
  // The guard keeps in mind what may leave.
  const strays = changesOutside(run.events.changes, ["Guard"]);
  if (strays.length > 0) {
    throw new Refusal("no-go", [
      ...strays.slice(0, 10).map(({ op, type, name }) => `${op} ${type} ${name} would come along`),
      `apply that first: pulumi up -s ${stack.name}`,
      `nothing was changed; ${file.path} is as it was`,
    ]);
  }
  await file.write();
  return update(removal, `decommission ${subject.name}: take the protection off`);
}

/** The second update, or the only one. */
async function remove(removal: Removal): Promise<Report> {
  const { subject, environment, file, stack, log, options } = removal;
  // Minutes may have passed since the question was asked.
  const needs = needsUnprotecting(subject)
    ? await log.run("ask again", () => refuseNeeds(removal).catch(explainHalf(removal)))
    : undefined;
  takeOut(subject, file);
  const { run } = await log.run("preview the removal", () => planMove(stack, file).catch(explainHalf(removal)));
  const strays = deletedElsewhere(subject, run.events.changes);
  if (strays.length > 0) {
    const reasons = strays.slice(0, 10).map(({ op, type, name }) => `${op} ${type} ${name} would come along`);
    explainHalf(removal)(new Refusal("no-go", reasons));
  }
  if (needs !== undefined) await log.run("remove what is left over", () => removeLeftovers(environment, needs));
  await file.write();
  const shredded = needs?.keepers.length ? ` (keysets given up: ${options.shredKeysets})` : "";
  const stopped = await update(removal, `decommission ${subject.name}${shredded}`);
  if (stopped !== undefined) return stopped;
  const patch = await gitPatch({ path: await pathInRepository(file.path), before: file.original, after: file.text() });
  const deleted = run.events.changes.filter(({ op }) => op.startsWith("delete")).length;
  const text = [`${subject.name} is out of ${environment.name}: ${deleted} resources`, log.text(), "", patch].join(
    "\n",
  );
  const data = { environment: environment.name, subject, deleted, ...leftoversOf(needs), steps: log.steps, patch };
  return { outcome: "go", text, data };
}

async function update({ environment, file, stack, registry, log, goOn }: Removal, message: string) {
  const run = await log.run("update", () => stack.up(file.path, message));
  const end = explainEnd(run, file, await readFacts(environment, registry), goOn);
  if (end.outcome === "go") return undefined;
  const text = [...end.lines, log.text()].join("\n");
  return { outcome: end.outcome, text, data: { reasons: end.lines, steps: log.steps } };
}

/** The first update stands, and a refusal of the second half must not say that nothing was changed. */
function explainHalf({ subject, file, goOn }: Removal) {
  const half = needsUnprotecting(subject)
    ? `${subject.name} stands in ${file.path} under leaving and is not protected any more; to protect it again remove it there and pulumi up; to go on: ${goOn}`
    : `nothing was changed; ${file.path} is as it was`;
  return (failure: unknown): never => {
    if (!(failure instanceof Refusal)) {
      throw new Error(`${failure instanceof Error ? failure.message : String(failure)}; ${half}`, { cause: failure });
    }
    const reasons = failure.reasons.filter((reason) => !reason.startsWith("nothing was changed"));
    throw new Refusal(failure.outcome, [...reasons, half]);
  };
}

function dryReport({ subject, environment }: Removal, needs: Needs): Report {
  const { keysetsOf, probes } = leftoversOf(needs);
  const text = [
    `nobody in ${environment.name} needs ${subject.name}; it could go, in ${needsUnprotecting(subject) ? "two updates" : "one update"}`,
    ...(keysetsOf.length === 0 ? [] : [`  - keysets of ${keysetsOf.join(", ")} would be deleted for ever`]),
    ...(probes.length === 0
      ? []
      : [`  - the probe tenants ${probes.join(", ")} would go; a promotion makes them anew`]),
    ...(subject.kind === "fleet" ? [`  - going back to ${subject.name} then takes starting its fleet as well`] : []),
    "nothing was changed",
  ].join("\n");
  return { outcome: "go", text, data: { environment: environment.name, subject, keysetsOf, probes } };
}

function leftoversOf(needs: Needs | undefined) {
  return {
    keysetsOf: (needs?.keepers ?? []).map(({ id }) => id),
    probes: (needs?.spareProbes ?? []).map(({ id }) => id),
  };
}
