import type { Command } from "commander";
import { parseEnvironment } from "../releases/environment.ts";
import { openRegistry, readFacts } from "./environment-facts.ts";
import { ActEvidence } from "./evidence/act-evidence.ts";
import { findCommit } from "./git.ts";
import { explainPins, pinnedStates } from "./history/pinned-state.ts";
import { Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { environmentName, openStack, openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { explainRestoration } from "./restoration.ts";
import { refuseHeldTarget } from "./rollback-holds.ts";
import { planRollback } from "./rollback-plan.ts";
import type { RollbackPlan } from "./rollback-plan.ts";
import { goBack, pinBack, previewBack } from "./rollback-run.ts";
import { explainSteps, lastUpdateSeconds, plannedSteps } from "./rollback-steps.ts";
import type { PlannedStep } from "./rollback-steps.ts";
import { StepLog } from "./step-log.ts";
import { runCommand } from "./terminal.ts";
import { duration } from "./way-back.ts";

interface RollbackOptions extends Omit<CommonOptions, "env"> {
  readonly to?: string;
  readonly dryRun?: boolean;
  readonly reason?: string;
  readonly confirm?: boolean;
}

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
  let evidence: ActEvidence | undefined;
  try {
    const reading = await log.run("read the history", () => stack.history());
    for (const warning of reading.warnings) terminal.stderr(`warning: ${warning}\n`);
    const states = pinnedStates(reading.entries, environment.name);
    const facts = await log.run("read the registry", () => readFacts(environment, registry));
    const plan = planRollback({ environment, file: file.pins(), states, facts, to: options.to });
    const advice = await checkoutAdvice(states[0]?.gitHead, surroundings);
    if (plan.outcome === "no-go") throw new Refusal("no-go", plan.reasons);
    evidence = await ActEvidence.open(stack, registry).catch((error: Error) => {
      terminal.stderr(`warning: the evidence cannot be read: ${error.message}\n`);
      return undefined;
    });
    if (options.dryRun) {
      refuseHeldTarget({ environment, registry, plan, facts, options });
      const [first] = plan.steps;
      if (first !== undefined) {
        pinBack(file, plan, first);
        await log.run(`preview ${explainPins(first)}`, () => previewBack({ stack, file }));
      }
      const measured = { now: log.steps, lastUpdate: lastUpdateSeconds((await evidence?.log?.read())?.entries ?? []) };
      return dryReport(plan, advice, plannedSteps(plan, measured));
    }
    if (plan.outcome === "needs-human" && !options.confirm) {
      throw new Refusal("needs-human", [...plan.reasons, "decide, then repeat with --confirm"]);
    }
    for (const line of advice) terminal.stderr(`warning: ${line}\n`);
    return await goBack({ env, environment, file, stack, registry, plan, facts, evidence, log, options, terminal });
  } finally {
    await evidence?.close();
    await registry.close();
  }
}

function dryReport(plan: RollbackPlan, advice: readonly string[], planned: readonly PlannedStep[]): Report {
  const time =
    plan.dataSeconds === undefined ? "no rate was measured" : `about ${duration(plan.dataSeconds)} for the data`;
  const text = [
    `${plan.outcome === "go" ? "yes" : "somebody has to decide"}: ${explainPins(plan.running)} -> ${plan.steps.map(explainPins).join(" -> ")}, ${time}`,
    ...(plan.steps.length > 1
      ? [`${plan.steps.length} updates, one release each; the rules judge the next one after the one before`]
      : []),
    ...plan.reasons.map((reason) => `  - ${reason}`),
    "what it would do:",
    ...explainSteps(planned),
    explainRestoration(plan.restoration),
    ...advice.map((line) => `warning: ${line}`),
    "nothing was changed",
  ].join("\n");
  const { running, steps, waves, reasons, dataSeconds, restoration } = plan;
  return {
    outcome: plan.outcome,
    text,
    data: { from: running, steps, waves, reasons, dataSeconds, planned, ...restoration, advice },
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
