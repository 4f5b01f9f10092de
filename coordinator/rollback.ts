import type { Command } from "commander";
import type { Registry } from "../migrations/registry/registry.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { parsePin } from "../releases/pin.ts";
import { openRegistry, readFacts } from "./environment-facts.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import type { EnvironmentStack } from "./environment-stack.ts";
import { findCommit } from "./git.ts";
import { pinnedStates } from "./history/pinned-state.ts";
import type { Pins } from "./history/pinned-state.ts";
import { explainPins } from "./history/pinned-state.ts";
import { operatorName } from "./operator.ts";
import { Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { gitPatch, pathInRepository } from "./patch.ts";
import { environmentName, openStack, openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { explainRestoration } from "./restoration.ts";
import { placeHolds, refuseHeldTarget } from "./rollback-holds.ts";
import { planRollback } from "./rollback-plan.ts";
import type { RollbackPlan } from "./rollback-plan.ts";
import { changesOutside } from "./stack-events.ts";
import type { StackFile } from "./stack-file.ts";
import { runDespiteLock } from "./stack-lock.ts";
import { explainEnd, planMove } from "./stack-move.ts";
import { StepLog } from "./step-log.ts";
import { runCommand } from "./terminal.ts";
import { stopRunningUpdate, withdrawStop } from "./update-stop.ts";
import { explainVerification, recordVerifications, verifyPins } from "./verification.ts";
import { duration } from "./way-back.ts";

interface RollbackOptions extends Omit<CommonOptions, "env"> {
  readonly to?: string;
  readonly dryRun?: boolean;
  readonly reason?: string;
  readonly confirm?: boolean;
}

/** Parts of the graph that going back may touch; `Guard` and `Tenants` name the releases, and hold nothing that runs. */
const touchable = ["Fleet", "Wave", "Flags", "Tenants", "Guard"];

export function registerRollback(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program.command("rollback").description("go back to the release that ran before, with every row"),
    "argument",
  )
    .argument("<environment>", "dev, staging, prod", environmentName)
    .option("--to <release>", "r1 or r1@<hash> that ran here (default: the last verified state)")
    .option("--dry-run", "say whether and how; change nothing")
    .option("--reason <text>", "why; kept in the hold and in the record")
    .option("--confirm", "go on where the rules ask for a human (a rebuild beyond 15 min)")
    .addHelpText(
      "after",
      `
Reads the live data first. What cannot go back is refused before anything is touched (exit 2), with the way forward.
Otherwise: preview (only fleets, waves and flags may change), hold, pins back, update, verify, and a patch for Git.
Change windows and approvals never stand in the way.

Examples:
  coordinator rollback prod --reason "error rate"
  coordinator rollback prod --to r1 --dry-run`,
    )
    .action(async (env: string, options: RollbackOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => rollBack(env, options, surroundings)));
    });
}

/** @throws {Refusal} before anything was changed: no-go with the way forward, or needs-human */
export async function rollBack(env: string, options: RollbackOptions, surroundings: Surroundings): Promise<Report> {
  const { terminal } = surroundings;
  const log = new StepLog(terminal.stderr);
  const common = { ...options, env };
  const file = await openStackFile(common, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const stack = await openStack(common, surroundings);
  const registry = openRegistry(environment);
  try {
    const reading = await log.run("read the history", () => stack.history());
    for (const warning of reading.warnings) terminal.stderr(`warning: ${warning}\n`);
    const states = pinnedStates(reading.entries, environment.name);
    const facts = await log.run("read the registry", () => readFacts(environment, registry));
    const plan = planRollback({ environment, file: file.pins(), states, facts, to: options.to });
    const advice = await checkoutAdvice(states[0]?.gitHead, surroundings);
    if (plan.outcome === "no-go") throw new Refusal("no-go", plan.reasons);
    if (options.dryRun) return dryReport(plan, advice);
    if (plan.outcome === "needs-human" && !options.confirm) {
      throw new Refusal("needs-human", [...plan.reasons, "decide, then repeat with --confirm"]);
    }
    for (const line of advice) terminal.stderr(`warning: ${line}\n`);
    return await goBack({ env, environment, file, stack, registry, plan, facts, log, options, terminal });
  } finally {
    await registry.close();
  }
}

interface WayDown {
  readonly env: string;
  readonly environment: Environment;
  readonly file: StackFile;
  readonly stack: EnvironmentStack;
  readonly registry: Registry;
  readonly plan: RollbackPlan;
  readonly facts: EnvironmentFacts;
  readonly log: StepLog;
  readonly options: RollbackOptions;
  readonly terminal: Surroundings["terminal"];
}

async function goBack(way: WayDown): Promise<Report> {
  const { env, environment, file, registry, plan, log, options } = way;
  refuseHeldTarget(way);
  let current = plan.running;
  for (const pins of plan.steps) {
    const leaving = [...new Set(plan.waves.map((wave) => current[wave]?.now ?? ""))].filter(
      (pin) => pin !== pins[plan.waves[0] ?? ""]?.now,
    );
    for (const wave of Object.keys(pins)) {
      const pair = pins[wave];
      if (pair !== undefined) file.setPins(wave, pair);
      if (plan.waves.includes(wave)) file.removeFinalize(wave);
    }
    // Read first: a preview that refuses leaves nothing behind, not even a hold that has ended.
    await log.run(`preview ${explainPins(pins)}`, () => previewBack(way));
    await log.run("hold", () => placeHolds(way, leaving));
    await file.write();
    const end = await log.run(`update to ${explainPins(pins)}`, () => update(way, pins));
    if (end !== undefined) {
      const record = { outcome: end.outcome, reasons: end.lines, reason: options.reason ?? null };
      await addRecord(way, current, pins, record);
      return {
        outcome: end.outcome,
        text: [...end.lines, log.text()].join("\n"),
        data: { pins: file.pins(), reasons: end.lines, steps: log.steps },
      };
    }
    await addRecord(way, current, pins, { outcome: "go", reason: options.reason ?? null });
    for (const pin of leaving) await registry.waveSteps.forget(environment.name, pin);
    current = pins;
  }
  return finish(way, `coordinator promote ${parsePin(plan.running[plan.waves[0] ?? ""]?.now ?? "").id} --env ${env}`);
}

/** Runs the update, also when another one holds the stack. @returns undefined when all nodes are done */
async function update({ env, environment, file, stack, registry, terminal }: WayDown, pins: Pins) {
  const run = await runDespiteLock(() => stack.up(file.path, `rollback ${explainPins(pins)}`), {
    requestCancel: () => stopRunningUpdate(environment, (line) => terminal.stderr(`${line}\n`)),
    withdrawCancel: () => withdrawStop(environment),
    breakLock: () => stack.cancel(),
    progress: (line) => terminal.stderr(`${line}\n`),
  });
  const facts = await readFacts(environment, registry);
  const end = explainEnd(run, file, facts, `coordinator rollback ${env}`);
  return end.outcome === "go" ? undefined : end;
}

async function finish(
  { environment, file, stack, registry, plan, log, terminal }: WayDown,
  forward: string,
): Promise<Report> {
  await log.run("tag the stack", () => stack.tag("release", explainPins(file.pins())));
  const after = parseEnvironment(file.environment(), file.path);
  const found = await log.run("verify", async () => verifyPins(after, await readFacts(after, registry)));
  await recordVerifications(after, registry, found);
  const patch = await gitPatch({ path: await pathInRepository(file.path), before: file.original, after: file.text() });
  const isVerified = found.every((each) => each.isVerified);
  if (patch !== "")
    terminal.stderr(
      "the stack file changed: merge the patch below, else the next update from main is refused by the hold\n",
    );
  const text = [
    `${environment.name} is back on ${explainPins(file.pins())}`,
    explainRestoration(plan.restoration),
    ...plan.reasons.map((reason) => `  - ${reason}`),
    ...found.map(explainVerification),
    log.text(),
    `forward again: ${forward}`,
    ...(patch === "" ? [] : ["", patch]),
  ].join("\n");
  const { restoration, reasons } = plan;
  const data = {
    environment: environment.name,
    pins: file.pins(),
    from: plan.running,
    reasons,
    ...restoration,
    verification: found,
    steps: log.steps,
    patch,
  };
  return { outcome: isVerified ? "go" : "error", text, data };
}

/** Refuses a preview that would touch more than fleets, waves and flags: that is not a rollback any more. */
async function previewBack({ stack, file }: WayDown): Promise<void> {
  const { run } = await planMove(stack, file);
  const strays = changesOutside(run.events.changes, touchable);
  if (strays.length === 0) return;
  throw new Refusal("no-go", [
    ...strays.slice(0, 20).map(({ op, type, name }) => `${op} ${type} ${name} would come along`),
    "a rollback may touch only Fleet, Wave and Flags: check out the program that ran last here (coordinator history --json shows gitHead) and repeat",
    `nothing was changed; ${file.path} is as it was`,
  ]);
}

async function addRecord(
  { environment, registry, plan }: WayDown,
  from: Pins,
  to: Pins,
  detail: object,
): Promise<void> {
  await registry.records.addPromotion({
    environment: environment.name,
    kind: "rollback",
    fromPin: explainPins(from),
    toPin: explainPins(to),
    who: operatorName(),
    reviewed: true,
    detail: { ...detail, waves: plan.waves },
  });
}

function dryReport(plan: RollbackPlan, advice: readonly string[]): Report {
  const time =
    plan.dataSeconds === undefined ? "no rate was measured" : `about ${duration(plan.dataSeconds)} for the data`;
  const text = [
    `${plan.outcome === "go" ? "yes" : "somebody has to decide"}: ${explainPins(plan.running)} -> ${plan.steps.map(explainPins).join(" -> ")}, ${time}`,
    ...(plan.steps.length > 1
      ? [`${plan.steps.length} updates, one release each; the rules judge the next one after the one before`]
      : []),
    ...plan.reasons.map((reason) => `  - ${reason}`),
    explainRestoration(plan.restoration),
    ...advice.map((line) => `warning: ${line}`),
    "nothing was changed",
  ].join("\n");
  const { running, steps, waves, reasons, dataSeconds, restoration } = plan;
  return {
    outcome: plan.outcome,
    text,
    data: { from: running, steps, waves, reasons, dataSeconds, ...restoration, advice },
  };
}

/** The program that ran last here knows the way back of what it did; another one may bring changes nobody applied. */
async function checkoutAdvice(gitHead: string | undefined, { folder }: Surroundings): Promise<string[]> {
  const head = await findCommit(await projectFolder(folder));
  if (gitHead === undefined || head === undefined || head === gitHead) return [];
  return [
    `the program that ran last here is ${gitHead.slice(0, 12)}, this checkout is ${head.slice(0, 12)}; if the preview is refused: ` +
      `git worktree add ../rollback-${gitHead.slice(0, 12)} ${gitHead}, and repeat there`,
  ];
}
