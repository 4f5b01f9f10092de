import { Option } from "commander";
import type { Command } from "commander";
import type { Hold } from "../migrations/registry/holds.ts";
import type { Registry } from "../migrations/registry/registry.ts";
import { findPinned, getRelease } from "../releases/catalog.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { parsePin, pinOf } from "../releases/pin.ts";
import type { Release } from "../releases/release.ts";
import type { ApprovalVerdict } from "./approval/judge-approvals.ts";
import { approvedChange, continuedChange } from "./approval/continued-change.ts";
import type { BegunChange } from "./approval/continued-change.ts";
import { requireApproval } from "./approval/require-approval.ts";
import { digestOf, reviewedScope } from "./approval/reviewed-change.ts";
import { mirrorStates, openRegistry, readFacts } from "./environment-facts.ts";
import { ActEvidence } from "./evidence/act-evidence.ts";
import { explainGate, nextEligible, verdictOfGates } from "./gate/gate.ts";
import type { Gate } from "./gate/gate.ts";
import { explainHold, holdsAgainst } from "./gate/hold-gate.ts";
import { driftGate } from "./gate/drift-gate.ts";
import { judgeGates, withOverrides } from "./gate/judge-gates.ts";
import { findProgramCommit } from "./git.ts";
import { lastPins } from "./history/pinned-state.ts";
import type { Pins } from "./history/pinned-state.ts";
import { operatorName } from "./operator.ts";
import { Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { openStack, openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { applyPromotion } from "./promote/apply-promotion.ts";
import { judgePromotion, partsToAdd } from "./release-judgement.ts";
import { planMove } from "./stack-move.ts";
import { StepLog } from "./step-log.ts";
import { runCommand } from "./terminal.ts";

interface PromoteOptions extends CommonOptions {
  readonly wave?: readonly string[];
  readonly dryRun?: boolean;
  readonly keepHolds?: boolean;
  readonly approved?: string;
  readonly override?: readonly string[];
}

export function registerPromote(program: Command, surroundings: Surroundings): void {
  withCommonOptions(program.command("promote <release>").description("move an environment to the next release"))
    .option("--wave <names...>", "only these waves (default: all)")
    .option("--dry-run", "judge and preview; change nothing")
    .addOption(new Option("--keep-holds", "refuse instead of lifting a hold on this release; for schedulers"))
    .option("--approved <digest>", "refuse when the preview has another digest than the one that was read")
    .option("--override <gate=reason...>", "decide against a gate that a person may decide, with a reason that is kept")
    .addHelpText(
      "after",
      `
Judges the release by its rules, adds what it needs to \`present\`, pins it, previews, updates and verifies.
A refused promotion leaves the stack file as it was. Exit 3: a soak, a deadline or a human decision is open;
the same command goes on.

Examples:
  coordinator promote r2 --env dev
  coordinator promote r2 --env prod --wave canary --approved 5f0c2a91b7e4d388
  coordinator promote r2 --env prod --override window="incident 12"`,
    )
    .action(async (release: string, options: PromoteOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => promote(release, options, surroundings)));
    });
}

/** @throws {Refusal} no-go or needs-human, before anything was changed */
export async function promote(wanted: string, options: PromoteOptions, surroundings: Surroundings): Promise<Report> {
  const { terminal } = surroundings;
  const log = new StepLog(terminal.stderr);
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const to = wantedRelease(wanted);
  const waves = chosenWaves(environment, options.wave);
  const stack = await openStack(options, surroundings);
  const registry = openRegistry(environment);
  let evidence: ActEvidence | undefined;
  try {
    const facts = await log.run("read the registry", () => readFacts(environment, registry));
    // What ran last is what the rules judge from, also when the pins were merged before anybody promoted them.
    const from = lastPins((await log.run("read the history", () => stack.history())).entries, environment.name);
    evidence = await log.run("read the evidence", () => ActEvidence.open(stack, registry));
    const running = { ...environment, pins: { ...environment.pins, ...knownPins(from) } };
    const { moving, verdict, gates: ruled } = await log.run("judge", () => judgePromotion(running, to, waves, facts));
    if (verdict.outcome === "no-go") throw new Refusal("no-go", verdict.reasons);
    // Holds are lifted or refused below, by name.
    const free = { ...facts, holds: [] };
    const now = new Date();
    const project = await projectFolder(surroundings.folder);
    const question = { environment: running, to, moving, facts: free, evidence: evidence.log, project, now };
    const others = await log.run("gates", () => judgeGates(question));
    const drifted = environment.drift === "ignore" ? [] : await log.run("drift", () => driftGate(environment, stack));
    const judged = [...ruled, evidence.gate(now), ...others, ...drifted];
    const gates = withOverrides(judged, overridesOf(options.override), operatorName());
    const decided = verdictOfGates(gates);
    if (decided.outcome !== "go") throw new Refusal(decided.outcome, decidedAgainst(gates, decided.reasons));
    const before = file.pins();
    for (const part of partsToAdd(environment, to)) file.addPresent(part);
    for (const wave of waves.filter((each) => before[each]?.now !== pinOf(to)))
      file.setPins(wave, { now: pinOf(to), back: before[wave]?.now ?? "none" });

    const holds = holdsAgainst(facts.holds, to, waves);
    if (holds.length > 0 && options.keepHolds) throw new Refusal("no-go", holds.map(explainHold));
    const lifted = options.dryRun ? [] : await liftHolds(registry, environment, holds, surroundings);
    let change: BegunChange;
    let approvals: ApprovalVerdict;
    try {
      const plan = await log.run("preview", () => planMove(stack, file));
      const commit = await findProgramCommit(project);
      const { changes } = plan.run.events;
      const scope = reviewedScope({ from, file, changes, positions: mirrorStates(facts), commit });
      change = { digest: digestOf(scope), scope };
      if (options.dryRun) return dryReport(verdict.reasons, changes.length, change.digest, holds, gates);
      const entries = (await evidence.log?.read())?.entries ?? [];
      const continued = continuedChange(entries, "promotion", scope);
      const { digest } = change;
      const asked = {
        environment: plan.environment,
        act: "promotion",
        digest,
        continued,
        read: options.approved,
      } as const;
      approvals = await requireApproval(asked, surroundings);
      await file.requireUnchanged();
      const notes = [...lifted.map((hold) => `lifted: ${explainHold(hold)}`), ...verdict.reasons];
      change = approvedChange(approvals.by, continued, change);
      const reviewed = { digest: change.digest, reviewed: change.scope };
      await evidence.begin({
        act: "promotion",
        from,
        to: file.pins(),
        ...reviewed,
        gates,
        approvals: approvals.by,
        notes,
      });
    } catch (error) {
      await registry.holds.restore(lifted.map(({ id }) => id));
      throw error;
    }
    await file.write();
    const warn = (line: string) => terminal.stderr(`${line}\n`);
    const { reasons } = verdict;
    const promotion = {
      environment,
      to,
      file,
      stack,
      registry,
      evidence,
      log,
      from,
      digest: change.digest,
      gates,
      approvals,
      lifted,
      reasons,
      warn,
    };
    return await applyPromotion(promotion);
  } finally {
    await evidence?.close();
    await registry.close();
  }
}

/** Reasons of the gates that are not open; what is fine needs no reading then. */
function decidedAgainst(gates: readonly Gate[], reasons: readonly string[]): string[] {
  const shut = gates.filter(({ outcome, override }) => outcome !== "go" && override === null);
  const next = nextEligible(gates);
  return [...reasons.slice(0, shut.length), ...(next === undefined ? [] : [`it may go from ${next.toISOString()} on`])];
}

/** `--override window="why"`. @throws for one without a reason */
function overridesOf(words: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const [, id = "", reason = ""] = /^([a-z][a-z0-9:.-]*)=(.*\S.*)$/s.exec(word) ?? [];
      if (id === "") throw new Error(`--override ${word} gives no reason; allowed: --override <gate>="<reason>"`);
      return [id, reason];
    }),
  );
}

/** A pin whose content this checkout no longer holds cannot be judged from; the file's own stands for it. */
function knownPins(pins: Pins): Pins {
  return Object.fromEntries(Object.entries(pins).filter(([, { now }]) => findPinned(parsePin(now)) !== undefined));
}

function wantedRelease(wanted: string): Release {
  const release = getRelease(wanted.split("@")[0] ?? wanted);
  if (wanted.includes("@") && wanted !== pinOf(release)) {
    throw new Error(
      `${wanted} is not what this checkout holds, which is ${pinOf(release)}; check out the commit that holds ${wanted}`,
    );
  }
  return release;
}

/** @throws naming the waves that exist */
function chosenWaves({ waves, name }: Environment, chosen: readonly string[] | undefined): string[] {
  const known = waves.map((wave) => wave.name);
  const unknown = (chosen ?? []).filter((wave) => !known.includes(wave));
  if (unknown.length === 0) return [...(chosen ?? known)];
  throw new Error(`${name} has no wave ${unknown.join(", ")}; allowed: ${known.join(", ")}`);
}

/** A promotion typed by a person is the way to end a hold on that release; it is said, and kept in the record. */
async function liftHolds(
  registry: Registry,
  { name }: Environment,
  holds: readonly Hold[],
  { terminal }: Surroundings,
): Promise<Hold[]> {
  if (holds.length === 0) return [];
  for (const hold of holds) terminal.stderr(`lifting the hold: ${explainHold(hold)}\n`);
  return registry.holds.release(name, { ids: holds.map(({ id }) => id) });
}

function dryReport(
  reasons: readonly string[],
  changes: number,
  digest: string,
  holds: readonly Hold[],
  gates: readonly Gate[],
): Report {
  const lines = [
    `it could go: ${changes} resources would change; approval digest ${digest}`,
    ...reasons.map((reason) => `  - ${reason}`),
    ...holds.map((hold) => `  - would lift: ${explainHold(hold)}`),
    ...gates.map((each) => `  ${explainGate(each)}`),
  ];
  return { outcome: "go", text: lines.join("\n"), data: { changes, digest, reasons, holds, gates } };
}
