import type { Command } from "commander";
import { getPinned, sinkMirrorsOf } from "../releases/catalog.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { parsePin } from "../releases/pin.ts";
import { rollbackBudgetMinutes } from "../releases/rules.ts";
import { approvedChange, continuedChange } from "./approval/continued-change.ts";
import { requireApproval } from "./approval/require-approval.ts";
import { digestOf, newestRelease, reviewedScope } from "./approval/reviewed-change.ts";
import { mirrorStates, openRegistry, readFacts } from "./environment-facts.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { ActEvidence } from "./evidence/act-evidence.ts";
import { checklistGates } from "./gate/checklist-gates.ts";
import { verdictOfGates } from "./gate/gate.ts";
import { windowGate } from "./gate/window-gate.ts";
import { findProgramCommit } from "./git.ts";
import { explainPins, lastPins } from "./history/pinned-state.ts";
import { takeBackIfLocked } from "./locked-update.ts";
import { operatorName } from "./operator.ts";
import { Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { openStack, openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { explainEnd, planMove } from "./stack-move.ts";
import { StepLog } from "./step-log.ts";
import { runCommand } from "./terminal.ts";
import { duration, explainWayBack, waysBack } from "./way-back.ts";
import type { WayBack } from "./way-back.ts";

interface FinalizeOptions extends CommonOptions {
  readonly wave?: readonly string[];
  readonly dryRun?: boolean;
  readonly overrideBudget?: string;
  readonly approved?: string;
}

export function registerFinalize(program: Command, surroundings: Surroundings): void {
  withCommonOptions(
    program.command("finalize <mirror>").description("drop a mirror's old side: the point of no instant return"),
  )
    .option("--wave <names...>", "only these waves (default: all that have switched)")
    .option("--dry-run", "say what it would take to go back afterwards; change nothing")
    .option("--override-budget <reason>", `go on although a rebuild would take more than ${rollbackBudgetMinutes} min`)
    .option("--approved <digest>", "refuse when the preview has another digest than the one that was read")
    .addHelpText(
      "after",
      `
Asks for the approvals that the stack file wants (approvals.finalize), and for an open change window.
From then on going back is a rebuild of every row, not a flip. Never done by itself.

Examples:
  coordinator finalize prompt-encryption --env prod --dry-run
  coordinator finalize prompt-encryption --env prod --wave canary`,
    )
    .action(async (mirror: string, options: FinalizeOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => finalize(mirror, options, surroundings)));
    });
}

/** @throws {Refusal} no-go before anything was changed, e.g. when a rebuild would break the rollback promise */
export async function finalize(mirror: string, options: FinalizeOptions, surroundings: Surroundings): Promise<Report> {
  const log = new StepLog(surroundings.terminal.stderr);
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const stack = await openStack(options, surroundings);
  const registry = openRegistry(environment);
  const warn = (line: string) => surroundings.terminal.stderr(`${line}\n`);
  let evidence: ActEvidence | undefined;
  try {
    const facts = await log.run("read the registry", () => readFacts(environment, registry));
    const waves = wavesToFinalize(environment, mirror, options.wave, facts);
    const ways = waysBack(file.pins(), facts);
    const concerned = ways.filter(({ wave }) => waves.includes(wave));
    refuseBudget(concerned, ways, options);
    evidence = await log.run("read the evidence", () => ActEvidence.open(stack, registry));
    const project = await projectFolder(surroundings.folder);
    const signed = await checklistGates(environment, newestRelease(file.pins()), "finalize", project);
    const gates = [evidence.gate(), windowGate(environment, new Date()), ...signed];
    const judged = verdictOfGates(gates);
    if (!options.dryRun && judged.outcome !== "go") throw new Refusal(judged.outcome, judged.reasons);
    const from = lastPins((await log.run("read the history", () => stack.history())).entries, environment.name);
    const warning = concerned.map(explainLoss);
    for (const wave of waves) file.addFinalize(wave, mirror);
    const plan = await log.run("preview", () => planMove(stack, file));
    const { changes } = plan.run.events;
    const commit = await findProgramCommit(project);
    const scope = reviewedScope({ from, file, changes, positions: mirrorStates(facts), commit });
    const digest = digestOf(scope);
    if (options.dryRun) {
      const head = `${changes.length} resources would change; approval digest ${digest}; nothing was changed`;
      const data = { waves, waysBack: concerned, changes, digest };
      return { outcome: "go", text: [...warning, head].join("\n"), data };
    }
    const entries = (await evidence.log?.read())?.entries ?? [];
    const continued = continuedChange(entries, "finalize", scope);
    const approvals = await requireApproval(
      { environment: plan.environment, act: "finalize", digest, continued, read: options.approved },
      surroundings,
    );
    const change = approvedChange(approvals.by, continued, { digest, scope });
    warning.forEach(warn);
    await file.requireUnchanged();
    const notes = [
      `finalize ${mirror} of ${waves.join(", ")}`,
      ...(options.overrideBudget ? [`budget overridden: ${options.overrideBudget}`] : []),
    ];
    const to = file.pins();
    const reviewed = { digest: change.digest, reviewed: change.scope };
    await evidence.begin({ act: "finalize", from, to, ...reviewed, gates, approvals: approvals.by, notes });
    await file.write();
    const run = await log.run("update", () => stack.up(file.path, `finalize ${mirror} of ${waves.join(", ")}`));
    await takeBackIfLocked(run, file, async () => {
      await evidence?.end({ outcome: "error", notes: ["the stack was locked; nothing was changed"] }, warn);
    });
    const after = await readFacts(environment, registry);
    const end = explainEnd(run, file, after, `coordinator finalize ${mirror} --env ${options.env}`);
    const kept = await evidence.end(
      { outcome: end.outcome, notes: [...notes, ...end.lines], seconds: run.seconds },
      warn,
    );
    await registry.records.addPromotion({
      environment: environment.name,
      kind: "finalize",
      toPin: explainPins(file.pins()),
      who: operatorName(),
      reviewed: approvals.by.length > 0,
      detail: {
        digest: change.digest,
        mirror,
        waves,
        outcome: end.outcome,
        approvedBy: approvals.by,
        override: options.overrideBudget ?? null,
        ...kept,
      },
    });
    const later = waysBack(file.pins(), after).filter(({ wave }) => waves.includes(wave));
    const head =
      end.outcome === "go" ? [`${mirror} is retired for ${waves.join(", ")}`, ...later.map(explainWayBack)] : end.lines;
    const data = { waves, unfinished: end.lines, waysBack: later, steps: log.steps };
    return { outcome: end.outcome, text: [...head, log.text()].join("\n"), data };
  } finally {
    await evidence?.close();
    await registry.close();
  }
}

function wavesToFinalize(
  { pins, waves, name }: Environment,
  mirror: string,
  chosen: readonly string[] | undefined,
  facts: EnvironmentFacts,
): string[] {
  const known = waves.map((wave) => wave.name);
  const unknown = (chosen ?? []).filter((wave) => !known.includes(wave));
  if (unknown.length > 0) throw new Error(`${name} has no wave ${unknown.join(", ")}; allowed: ${known.join(", ")}`);
  const isMoved = (wave: string) => sinkMirrorsOf(getPinned(parsePin(pins[wave]?.now ?? "")).id).includes(mirror);
  const candidates = chosen ?? known.filter(isMoved);
  if (candidates.length === 0)
    throw new Refusal("no-go", [`no wave pins a release that moved ${mirror}; coordinator status shows the mirrors`]);
  const reasons = candidates.flatMap((wave) => {
    if (!isMoved(wave)) return [`wave ${wave} pins ${pins[wave]?.now}, which did not move ${mirror}`];
    const behind = mirrorStates(facts, wave).filter(
      (state) => state.mirror === mirror && !["switched", "retired"].includes(state.position),
    );
    return behind.map(
      ({ tenants, position }) =>
        `${tenants} tenants of wave ${wave} are ${position}: finish the promotion first, coordinator promote`,
    );
  });
  if (reasons.length > 0) throw new Refusal("no-go", reasons);
  return [...candidates];
}

/** A finalize that would break the rollback promise needs a reason; so does one while another wave's way back is slow. */
function refuseBudget(concerned: readonly WayBack[], all: readonly WayBack[], options: FinalizeOptions): void {
  if (options.overrideBudget !== undefined) return;
  const budgetSeconds = rollbackBudgetMinutes * 60;
  const long = concerned.filter(
    ({ secondsAfterFinalize: seconds }) => seconds === undefined || seconds > budgetSeconds,
  );
  const slow = all.filter(({ seconds }) => seconds !== undefined && seconds > budgetSeconds / 2);
  const reasons = [
    ...long.map(({ wave, secondsAfterFinalize: seconds }) => {
      const time = seconds === undefined ? "an unknown time (no rate was measured)" : `about ${duration(seconds)}`;
      return `wave ${wave}: a rebuild would take ${time}, the promise is ${rollbackBudgetMinutes} min; decide with --override-budget "<reason>"`;
    }),
    ...slow.map(
      ({ wave, seconds = 0 }) =>
        `wave ${wave}: going back takes ${duration(seconds)} already, more than half of the promise; let the keeper catch up`,
    ),
  ];
  if (reasons.length > 0) throw new Refusal("no-go", reasons);
}

function explainLoss({ wave, to, seconds, secondsAfterFinalize }: WayBack): string {
  const now = seconds === undefined ? "unknown" : duration(seconds);
  const later = secondsAfterFinalize === undefined ? "an unknown time" : `about ${duration(secondsAfterFinalize)}`;
  return `wave ${wave}: going back to ${to ?? "nothing"} takes ${now} now; afterwards it is a rebuild of every row, ${later}`;
}
