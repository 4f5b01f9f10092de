import type { Hold } from "../../migrations/registry/holds.ts";
import type { Registry } from "../../migrations/registry/registry.ts";
import { parseEnvironment } from "../../releases/environment.ts";
import type { Environment } from "../../releases/environment.ts";
import { pinOf } from "../../releases/pin.ts";
import type { Release } from "../../releases/release.ts";
import type { ApprovalVerdict } from "../approval/judge-approvals.ts";
import { readFacts } from "../environment-facts.ts";
import type { EnvironmentStack } from "../environment-stack.ts";
import type { ActEvidence } from "../evidence/act-evidence.ts";
import type { Gate } from "../gate/gate.ts";
import { explainPins } from "../history/pinned-state.ts";
import type { Pins } from "../history/pinned-state.ts";
import { takeBackIfLocked } from "../locked-update.ts";
import { operatorName } from "../operator.ts";
import { worst } from "../outcome.ts";
import type { Report } from "../outcome.ts";
import type { StackFile } from "../stack-file.ts";
import { explainEnd } from "../stack-move.ts";
import type { MoveEnd } from "../stack-move.ts";
import type { StepLog } from "../step-log.ts";
import { explainVerification, recordVerifications, verifyPins } from "../verification.ts";
import { explainWayBack, waysBack } from "../way-back.ts";
import { repinGivenUp } from "./repin-given-up.ts";

/** A promotion that was judged, previewed and approved. */
export interface Promotion {
  readonly environment: Environment;
  readonly to: Release;
  readonly file: StackFile;
  readonly stack: EnvironmentStack;
  readonly registry: Registry;
  readonly evidence: ActEvidence;
  readonly log: StepLog;
  /** What ran before; `{}` for the first release. */
  readonly from: Pins;
  readonly digest: string;
  readonly gates: readonly Gate[];
  readonly approvals: ApprovalVerdict;
  readonly lifted: readonly Hold[];
  readonly reasons: readonly string[];
  readonly warn: (line: string) => void;
}

/** Updates, records and verifies. */
export async function applyPromotion(promotion: Promotion): Promise<Report> {
  const { environment, to, file, stack, registry, evidence, log, digest, lifted, reasons, warn } = promotion;
  const run = await log.run("update", () => stack.up(file.path, `promote ${pinOf(to)}`));
  await takeBackIfLocked(run, file, async () => {
    await registry.holds.restore(lifted.map(({ id }) => id));
    await evidence.end({ outcome: "error", notes: ["the stack was locked; nothing was changed"] }, warn);
  });
  const after = parseEnvironment(file.environment(), file.path);
  const facts = await readFacts(after, registry);
  const env = environment.name;
  const end = explainEnd(
    run,
    file,
    facts,
    `coordinator promote ${to.id} --env ${env}; to go back: coordinator rollback ${env}`,
  );
  const hasStopped = end.outcome === "error" || end.outcome === "no-go";
  const turned = hasStopped ? await repinGivenUp(file, to, facts) : [];
  const found = hasStopped ? [] : await log.run("verify", () => verifyPins(after, facts));
  const verified = end.outcome === "go" ? found.filter(({ isVerified }) => isVerified).map(({ pin }) => pin) : [];
  const kept = await evidence.end({ outcome: end.outcome, verified, notes: end.lines, seconds: run.seconds }, warn);
  if (facts.hasRegistry) await record(promotion, end, run.seconds, kept);
  if (hasStopped) {
    const lines = [...end.lines, ...turned];
    const data = { pins: file.pins(), reasons: lines, steps: log.steps };
    return { outcome: end.outcome, text: [...lines, log.text()].join("\n"), data };
  }
  await log.run("tag the stack", () => stack.tag("release", explainPins(file.pins())));
  if (end.outcome === "go") await recordVerifications(after, registry, found);
  const isVerified = end.outcome !== "go" || found.every((each) => each.isVerified);
  const ways = waysBack(file.pins(), facts);
  const text = [
    `${env} ${end.outcome === "go" ? "runs" : "is on its way to"} ${explainPins(file.pins())}`,
    ...end.lines,
    ...reasons.map((reason) => `  - ${reason}`),
    ...found.map(explainVerification),
    ...ways.map(explainWayBack),
    log.text(),
  ].join("\n");
  const data = {
    environment: env,
    pins: file.pins(),
    digest,
    gates: promotion.gates,
    reasons,
    unfinished: end.lines,
    verification: found,
    waysBack: ways,
    steps: log.steps,
  };
  return { outcome: worst([end.outcome, isVerified ? "go" : "error"]), text, data };
}

async function record(
  { environment, to, registry, from, digest, approvals, lifted }: Promotion,
  { outcome }: MoveEnd,
  seconds: number,
  kept: object,
): Promise<void> {
  await registry.records.addPromotion({
    environment: environment.name,
    kind: "promotion",
    ...(Object.keys(from).length === 0 ? {} : { fromPin: explainPins(from) }),
    toPin: pinOf(to),
    who: operatorName(),
    reviewed: approvals.isApproved && approvals.by.length > 0,
    detail: {
      digest,
      outcome,
      seconds: Math.round(seconds),
      approvedBy: approvals.by,
      liftedHolds: lifted.map(({ id }) => id),
      ...kept,
    },
  });
}
