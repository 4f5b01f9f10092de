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
import { requireApproval } from "./approval/require-approval.ts";
import { approvalDigest } from "./approval/reviewed-change.ts";
import { refuseOutsideWindow } from "./change-window.ts";
import { mirrorStates, openRegistry, readFacts } from "./environment-facts.ts";
import type { EnvironmentStack } from "./environment-stack.ts";
import { findProgramCommit } from "./git.ts";
import { explainPins, lastPins } from "./history/pinned-state.ts";
import type { Pins } from "./history/pinned-state.ts";
import { takeBackIfLocked } from "./locked-update.ts";
import { operatorName } from "./operator.ts";
import { Refusal, worst } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { openStack, openStackFile, projectFolder, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { judgePromotion, partsToAdd } from "./release-judgement.ts";
import type { StackFile } from "./stack-file.ts";
import { explainEnd, planMove } from "./stack-move.ts";
import { StepLog } from "./step-log.ts";
import { runCommand } from "./terminal.ts";
import { explainVerification, recordVerifications, verifyPins } from "./verification.ts";
import { explainWayBack, waysBack } from "./way-back.ts";

interface PromoteOptions extends CommonOptions {
  readonly wave?: readonly string[];
  readonly dryRun?: boolean;
  readonly keepHolds?: boolean;
  readonly approved?: string;
}

export function registerPromote(program: Command, surroundings: Surroundings): void {
  withCommonOptions(program.command("promote <release>").description("move an environment to the next release"))
    .option("--wave <names...>", "only these waves (default: all)")
    .option("--dry-run", "judge and preview; change nothing")
    .addOption(new Option("--keep-holds", "refuse instead of lifting a hold on this release; for schedulers"))
    .option("--approved <digest>", "refuse when the preview has another digest than the one that was read")
    .addHelpText(
      "after",
      `
Judges the release by its rules, adds what it needs to \`present\`, pins it, previews, updates and verifies.
A refused promotion leaves the stack file as it was. Exit 3: a soak, a deadline or a human decision is open;
the same command goes on.

Examples:
  coordinator promote r2 --env dev
  coordinator promote r2 --env prod --wave canary --approved 5f0c2a91b7e4d388`,
    )
    .action(async (release: string, options: PromoteOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => promote(release, options, surroundings)));
    });
}

/** @throws {Refusal} no-go or needs-human, before anything was changed */
export async function promote(wanted: string, options: PromoteOptions, surroundings: Surroundings): Promise<Report> {
  const log = new StepLog(surroundings.terminal.stderr);
  const file = await openStackFile(options, surroundings);
  const environment = parseEnvironment(file.environment(), file.path);
  const to = wantedRelease(wanted);
  const waves = chosenWaves(environment, options.wave);
  const stack = await openStack(options, surroundings);
  const registry = openRegistry(environment);
  try {
    const facts = await log.run("read the registry", () => readFacts(environment, registry));
    // What ran last is what the rules judge from, also when the pins were merged before anybody promoted them.
    const from = lastPins((await log.run("read the history", () => stack.history())).entries, environment.name);
    const running = { ...environment, pins: { ...environment.pins, ...knownPins(from) } };
    const { verdict } = await log.run("judge", () => judgePromotion(running, to, waves, facts));
    if (verdict.outcome !== "go") throw new Refusal(verdict.outcome, verdict.reasons);
    refuseOutsideWindow(environment);
    const before = file.pins();
    for (const part of partsToAdd(environment, to)) file.addPresent(part);
    for (const wave of waves.filter((each) => before[each]?.now !== pinOf(to)))
      file.setPins(wave, { now: pinOf(to), back: before[wave]?.now ?? "none" });

    const holds = facts.holds.filter((hold) => forbids(hold, pinOf(to), waves));
    if (holds.length > 0 && options.keepHolds) throw new Refusal("no-go", holds.map(explainHold));
    const lifted = options.dryRun ? [] : await liftHolds(registry, environment, holds, surroundings);
    let digest: string;
    let approvals: ApprovalVerdict;
    try {
      const plan = await log.run("preview", () => planMove(stack, file));
      const commit = await findProgramCommit(await projectFolder(surroundings.folder));
      const { changes } = plan.run.events;
      digest = approvalDigest({ from, file, changes, positions: mirrorStates(facts), commit });
      if (options.dryRun) return dryReport(verdict.reasons, changes.length, digest, holds);
      approvals = await requireApproval(
        { environment: plan.environment, act: "promotion", digest, read: options.approved },
        surroundings,
      );
    } catch (error) {
      await registry.holds.restore(lifted.map(({ id }) => id));
      throw error;
    }
    await file.write();
    return await apply({
      environment,
      to,
      file,
      stack,
      registry,
      log,
      from,
      digest,
      approvals,
      lifted,
      reasons: verdict.reasons,
      options,
    });
  } finally {
    await registry.close();
  }
}

interface Application {
  readonly environment: Environment;
  readonly to: Release;
  readonly file: StackFile;
  readonly stack: EnvironmentStack;
  readonly registry: Registry;
  readonly log: StepLog;
  /** What ran before; `{}` for the first release. */
  readonly from: Pins;
  readonly digest: string;
  readonly approvals: ApprovalVerdict;
  readonly lifted: readonly Hold[];
  readonly reasons: readonly string[];
  readonly options: PromoteOptions;
}

async function apply(application: Application): Promise<Report> {
  const { to, file, stack, registry, log, from, digest, approvals, lifted, reasons, options } = application;
  const pin = pinOf(to);
  const run = await log.run("update", () => stack.up(file.path, `promote ${pin}`));
  await takeBackIfLocked(run, file, () => registry.holds.restore(lifted.map(({ id }) => id)));
  const environment = parseEnvironment(file.environment(), file.path);
  const facts = await readFacts(environment, registry);
  const goOn = `coordinator promote ${to.id} --env ${options.env}; to go back: coordinator rollback ${options.env}`;
  const end = explainEnd(run, file, facts, goOn);
  if (facts.hasRegistry) {
    await registry.records.addPromotion({
      environment: environment.name,
      kind: "promotion",
      ...(Object.keys(from).length === 0 ? {} : { fromPin: explainPins(from) }),
      toPin: pin,
      who: operatorName(),
      reviewed: approvals.isApproved && approvals.by.length > 0,
      detail: {
        digest,
        outcome: end.outcome,
        seconds: Math.round(run.seconds),
        approvedBy: approvals.by,
        liftedHolds: lifted.map(({ id }) => id),
      },
    });
  }
  if (end.outcome === "error" || end.outcome === "no-go") {
    return {
      outcome: end.outcome,
      text: [...end.lines, log.text()].join("\n"),
      data: { pins: file.pins(), reasons: end.lines, steps: log.steps },
    };
  }
  await log.run("tag the stack", () => stack.tag("release", explainPins(file.pins())));
  const found = await log.run("verify", () => verifyPins(environment, facts));
  if (end.outcome === "go") await recordVerifications(environment, registry, found);
  const isVerified = end.outcome !== "go" || found.every((each) => each.isVerified);
  const ways = waysBack(file.pins(), facts);
  const text = [
    `${environment.name} ${end.outcome === "go" ? "runs" : "is on its way to"} ${explainPins(file.pins())}`,
    ...end.lines,
    ...reasons.map((reason) => `  - ${reason}`),
    ...found.map(explainVerification),
    ...ways.map(explainWayBack),
    log.text(),
  ].join("\n");
  const data = {
    environment: environment.name,
    pins: file.pins(),
    digest,
    reasons,
    unfinished: end.lines,
    verification: found,
    waysBack: ways,
    steps: log.steps,
  };
  return { outcome: worst([end.outcome, isVerified ? "go" : "error"]), text, data };
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

function forbids(hold: Hold, pin: string, waves: readonly string[]): boolean {
  const isOfHash = hold.hashes.length === 0 || hold.hashes.some((hash) => pin.endsWith(`@${hash}`));
  return isOfHash && (hold.wave === undefined || waves.includes(hold.wave));
}

function explainHold({ environment, wave, since, who, why }: Hold): string {
  return `${environment}${wave === undefined ? "" : ` (wave ${wave})`} is held since ${since.toISOString()} (${who}: ${why})`;
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

function dryReport(reasons: readonly string[], changes: number, digest: string, holds: readonly Hold[]): Report {
  const lines = [
    `it could go: ${changes} resources would change; approval digest ${digest}`,
    ...reasons.map((reason) => `  - ${reason}`),
    ...holds.map((hold) => `  - would lift: ${explainHold(hold)}`),
  ];
  return { outcome: "go", text: lines.join("\n"), data: { changes, digest, reasons, holds } };
}
