import { getPinned, getRelease } from "../../releases/catalog.ts";
import { parseEnvironment } from "../../releases/environment.ts";
import type { Environment } from "../../releases/environment.ts";
import { parsePin, pinOf } from "../../releases/pin.ts";
import { rollback } from "../../releases/rules.ts";
import { approvalDigest } from "../approval/reviewed-change.ts";
import { withCandidate } from "../candidate-file.ts";
import { emptyFacts, mirrorStates, openRegistry, readFacts } from "../environment-facts.ts";
import type { EnvironmentFacts } from "../environment-facts.ts";
import type { StackRun } from "../environment-stack.ts";
import { readLedgers } from "../exact-facts.ts";
import { openEvidence } from "../evidence/open-evidence.ts";
import type { Gate } from "../gate/gate.ts";
import { judgeGates } from "../gate/judge-gates.ts";
import type { GateQuestion } from "../gate/judge-gates.ts";
import { findProgramCommit } from "../git.ts";
import { lastPins } from "../history/pinned-state.ts";
import type { Pins } from "../history/pinned-state.ts";
import { worst } from "../outcome.ts";
import type { Outcome } from "../outcome.ts";
import { openStack, openStackFile, projectFolder } from "../project.ts";
import type { CommonOptions, Surroundings } from "../project.ts";
import { movesOf } from "../release-diff.ts";
import type { PinMove } from "../release-diff.ts";
import { judgePromotion, partsToAdd } from "../release-judgement.ts";
import type { StackFile } from "../stack-file.ts";
import { refusalsIn } from "../stack-move.ts";
import { waysBack } from "../way-back.ts";
import { countChanges, findRisks, mergedChanges } from "./risk.ts";
import { secretsOf } from "./known-secrets.ts";
import { Sight } from "./sight.ts";
import { approvalOf, releaseNotesOf, sizeOf } from "./stack-report.ts";
import type { StackReport } from "./stack-report.ts";
import { countMigrations } from "./wave-migration.ts";

export interface ReportOptions extends CommonOptions {
  /** As if every wave were promoted to this release; undefined: what the stack file pins. */
  readonly release?: string;
  /** Visit every tenant's ledger instead of reading the projection. */
  readonly exact?: boolean;
}

/**
 * Looks at one environment and never gives up: what cannot be read is named in `unseen`, and the rest is told all the same.
 * Reads only; the stack file is not written.
 */
export async function gatherReport(options: ReportOptions, surroundings: Surroundings): Promise<StackReport> {
  const sight = new Sight();
  const file = await sight.look("the stack file", () => openStackFile(options, surroundings));
  if (file === undefined) return sight.blank(options.env);
  const environment = await sight.look("the stack file", () => readEnvironment(file, options.release));
  if (environment === undefined) return sight.blank(options.env);
  const secrets = secretsOf(environment);
  const registry = await sight.look("the registry", () => openRegistry(environment, { isReadOnly: true }));
  try {
    const read = registry && (await sight.look("the registry", () => readFacts(environment, registry)));
    const exact = options.exact && read ? await sight.look("the ledgers", () => readLedgers(environment, read)) : read;
    const facts = exact ?? read ?? emptyFacts(environment);
    const stack = await sight.look("the stack", () => openStack(options, surroundings));
    const from =
      stack &&
      (await sight.look("the history", async () => lastPins((await stack.history()).entries, environment.name)));
    const moves = from === undefined ? [] : movesOf(from, file.pins());
    const evidence = stack && (await sight.look("the evidence", () => openEvidence(stack)));
    const project = await projectFolder(surroundings.folder);
    const judged = await judge(environment, from, facts, { evidence, project }, sight);
    await evidence?.close();
    const migrations = facts.hasRegistry
      ? ((await sight.look("rows to migrate", () => countMigrations(environment))) ?? [])
      : [];
    const preview =
      stack && (await sight.look("the resources", () => withCandidate(file, (path) => stack.preview(path))));
    const failure = failureOf(preview);
    const changes = preview && failure.lines.length === 0 ? mergedChanges(preview.events.changes) : undefined;
    if (failure.lines.length > 0) sight.miss("the resources", "the preview did not end: see what stands in the way");
    const positions = mirrorStates(facts);
    const digest =
      preview === undefined || changes === undefined || from === undefined
        ? null
        : approvalDigest({
            from,
            file,
            changes: preview.events.changes,
            positions,
            commit: await findProgramCommit(project),
          });
    const after = new Map(migrations.map((each) => [each.wave, each.after]));
    const finalizes = migrations.some(({ mirrors }) => mirrors.some(({ isFinalized }) => isFinalized));
    const obstacles = migrations.flatMap(({ wave, obstacles: found }) => found.map((text) => `wave ${wave}: ${text}`));
    const report: StackReport = {
      format: 1,
      environment: environment.name,
      outcome: worst([
        judged.outcome,
        failure.outcome,
        obstacles.length > 0 ? "no-go" : "go",
        sight.unseen.length > 0 ? "needs-human" : "go",
      ]),
      blockers: [...new Set([...judged.blockers, ...failure.lines, ...obstacles])],
      unseen: sight.unseen,
      pins: file.pins(),
      moves,
      positions,
      migrations,
      waysBack: waysBack(file.pins(), facts, (wave) => after.get(wave) ?? mirrorStates(facts, wave)),
      changes: changes?.map(({ op, type, name, properties }) => ({ op, type, name, properties })) ?? null,
      counts: changes === undefined ? null : countChanges(changes),
      risks: findRisks(changes ?? [], migrations),
      gates: judged.gates,
      remarks: [
        ...(read?.hasRegistry === false ? ["the registry does not exist yet: no tenant is served here"] : []),
        ...judged.remarks,
      ],
      releaseNotes: releaseNotesOf(moves, file.pins()),
      digest,
      approval: approvalOf(environment, moves, finalizes, digest, sizeOf(migrations)),
    };
    return secrets.hide(report);
  } finally {
    await registry?.close();
  }
}

/** @throws {FaultReport} with every fault of the file */
function readEnvironment(file: StackFile, release: string | undefined): Environment {
  const environment = parseEnvironment(file.environment(), file.path);
  if (release === undefined) return environment;
  const to = getRelease(release);
  for (const part of partsToAdd(environment, to)) file.addPresent(part);
  for (const [wave, { now }] of Object.entries(file.pins()))
    if (now !== pinOf(to)) file.setPins(wave, { now: pinOf(to), back: now });
  return parseEnvironment(file.environment(), file.path);
}

interface Judged {
  readonly outcome: Outcome;
  readonly blockers: readonly string[];
  readonly remarks: readonly string[];
  readonly gates: readonly Gate[];
}

/** What gates read beside the registry. */
type KeptElsewhere = Pick<GateQuestion, "evidence" | "project">;

/** Asks the rules about every move, and the holds about every pin. */
async function judge(
  environment: Environment,
  from: Pins | undefined,
  facts: EnvironmentFacts,
  kept: KeptElsewhere,
  sight: Sight,
): Promise<Judged> {
  const parts: Judged[] = [holdsAgainst(environment, facts)];
  for (const { waves } of from === undefined ? [] : movesOf(from, environment.pins)) {
    const [wave = ""] = waves;
    const [before, after] = [from?.[wave]?.now, environment.pins[wave]?.now ?? ""];
    const found = await sight.look(`the rules for ${after}`, () =>
      judgeMove(environment, from ?? {}, waves, before, after, facts, kept),
    );
    if (found === undefined) continue;
    const isGo = found.outcome === "go";
    parts.push({
      outcome: found.outcome,
      blockers: isGo ? [] : found.reasons,
      remarks: isGo ? found.reasons : [],
      gates: found.gates,
    });
  }
  return {
    outcome: worst(parts.map(({ outcome }) => outcome)),
    blockers: parts.flatMap(({ blockers }) => blockers),
    remarks: [...new Set(parts.flatMap(({ remarks }) => remarks))],
    gates: parts.flatMap(({ gates }) => gates),
  };
}

async function judgeMove(
  environment: Environment,
  from: Pins,
  waves: PinMove["waves"],
  before: string | undefined,
  after: string,
  facts: EnvironmentFacts,
  kept: KeptElsewhere,
): Promise<{ readonly outcome: Outcome; readonly reasons: readonly string[]; readonly gates: readonly Gate[] }> {
  const to = getPinned(parsePin(after));
  if (before === undefined)
    return { outcome: "go", reasons: [`${after} is the first release of ${waves.join(", ")}`], gates: [] };
  const old = getPinned(parsePin(before));
  if (numberOf(to.id) >= numberOf(old.id)) {
    const asBefore = { ...environment, pins: { ...environment.pins, ...from } };
    const { verdict, gates, moving } = await judgePromotion(asBefore, to, waves, facts);
    const others = await judgeGates({ environment: asBefore, to, moving, facts, ...kept, now: new Date() });
    return { ...verdict, gates: [...gates, ...others] };
  }
  const verdicts = waves.map((wave) =>
    rollback(old, to, mirrorStates(facts, wave), {
      runtime: environment.runtime,
      rescinded: [...facts.rescinded.keys()],
    }),
  );
  return {
    outcome: worst(verdicts.map(({ outcome }) => outcome)),
    reasons: [...new Set(verdicts.flatMap(({ reasons }) => reasons))],
    gates: [],
  };
}

function holdsAgainst({ pins }: Environment, { holds }: EnvironmentFacts): Judged {
  const against = holds.filter(({ wave, hashes }) =>
    Object.entries(pins).some(
      ([name, { now }]) =>
        (wave === undefined || wave === name) &&
        (hashes.length === 0 || hashes.some((hash) => now.endsWith(`@${hash}`))),
    ),
  );
  return {
    outcome: against.length > 0 ? "no-go" : "go",
    blockers: against.map(
      ({ environment, wave, since, who, why }) =>
        `${environment}${wave === undefined ? "" : `, wave ${wave},`} is held since ${since.toISOString()} (${who}: ${why}); it ends with coordinator promote or coordinator unhold`,
    ),
    remarks: [],
    gates: [],
  };
}

/** A refusal of a provider is an answer; everything else that stopped the preview is a fault. */
function failureOf(preview: StackRun | undefined): { readonly outcome: Outcome; readonly lines: readonly string[] } {
  if (preview?.failure === undefined) return { outcome: "go", lines: [] };
  const refusals = refusalsIn(preview.failure);
  if (refusals.length > 0) return { outcome: "no-go", lines: refusals };
  return { outcome: "error", lines: [`the preview failed: ${preview.failure}`] };
}

function numberOf(id: string): number {
  return Number.parseInt(id.slice(1), 10);
}
