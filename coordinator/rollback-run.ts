import type { Registry } from "../migrations/registry/registry.ts";
import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { parsePin } from "../releases/pin.ts";
import { readFacts } from "./environment-facts.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import type { EnvironmentStack } from "./environment-stack.ts";
import type { ActEvidence } from "./evidence/act-evidence.ts";
import { explainPins } from "./history/pinned-state.ts";
import type { Pins } from "./history/pinned-state.ts";
import { operatorName } from "./operator.ts";
import { Refusal } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { gitPatch, pathInRepository } from "./patch.ts";
import type { Surroundings } from "./project.ts";
import { explainRestoration } from "./restoration.ts";
import { placeHolds, refuseHeldTarget } from "./rollback-holds.ts";
import type { RollbackPlan } from "./rollback-plan.ts";
import { changesOutside } from "./stack-events.ts";
import type { StackFile } from "./stack-file.ts";
import { runDespiteLock } from "./stack-lock.ts";
import { explainEnd, planMove } from "./stack-move.ts";
import type { StepLog } from "./step-log.ts";
import { stopRunningUpdate, withdrawStop } from "./update-stop.ts";
import { explainVerification, recordVerifications, verifyPins } from "./verification.ts";

/** Parts of the graph that going back may touch; `Guard` and `Tenants` name the releases, and hold nothing that runs. */
const touchable = ["Fleet", "Wave", "Flags", "Traffic", "Tenants", "Guard"];

/** A rollback that was judged and may begin. */
export interface WayDown {
  readonly env: string;
  readonly environment: Environment;
  readonly file: StackFile;
  readonly stack: EnvironmentStack;
  readonly registry: Registry;
  readonly plan: RollbackPlan;
  readonly facts: EnvironmentFacts;
  /** undefined: it could not be read, and a rollback does not wait for it. */
  readonly evidence: ActEvidence | undefined;
  readonly log: StepLog;
  readonly options: { readonly reason?: string };
  readonly terminal: Surroundings["terminal"];
}

/** Writes the pins of one step into the file in memory; a wave that goes back is not finalized any more. */
export function pinBack(file: StackFile, plan: RollbackPlan, pins: Pins): void {
  for (const [wave, pair] of Object.entries(pins)) {
    file.setPins(wave, pair);
    if (plan.waves.includes(wave)) file.removeFinalize(wave);
  }
}

export async function goBack(way: WayDown): Promise<Report> {
  const { env, environment, file, registry, plan, log, options, evidence, terminal } = way;
  refuseHeldTarget(way);
  const warn = (line: string) => terminal.stderr(`${line}\n`);
  const notes = [...(options.reason === undefined ? [] : [options.reason]), ...plan.reasons];
  let current = plan.running;
  for (const pins of plan.steps) {
    const leaving = [...new Set(plan.waves.map((wave) => current[wave]?.now ?? ""))].filter(
      (pin) => pin !== pins[plan.waves[0] ?? ""]?.now,
    );
    pinBack(file, plan, pins);
    // Read first: a preview that refuses leaves nothing behind, not even a hold that has ended.
    await log.run(`preview ${explainPins(pins)}`, () => previewBack(way));
    await evidence?.beginAnyway({ act: "rollback", from: current, to: pins, notes }, warn);
    await log.run("hold", () => placeHolds(way, leaving));
    await file.write();
    const { end, seconds } = await log.run(`update to ${explainPins(pins)}`, () => update(way, pins));
    const outcome = end?.outcome ?? "go";
    const kept = await evidence?.end({ outcome, seconds, notes: [...notes, ...(end?.lines ?? [])] }, warn);
    if (end !== undefined) {
      const record = { outcome, reasons: end.lines, reason: options.reason ?? null, ...kept };
      await addRecord(way, current, pins, record);
      return {
        outcome: end.outcome,
        text: [...end.lines, log.text()].join("\n"),
        data: { pins: file.pins(), reasons: end.lines, steps: log.steps },
      };
    }
    await addRecord(way, current, pins, { outcome: "go", reason: options.reason ?? null, ...kept });
    for (const pin of leaving) await registry.waveSteps.forget(environment.name, pin);
    current = pins;
  }
  return finish(way, `coordinator promote ${parsePin(plan.running[plan.waves[0] ?? ""]?.now ?? "").id} --env ${env}`);
}

/** Runs the update, also when another one holds the stack. @returns no `end` when all nodes are done */
async function update({ env, environment, file, stack, registry, terminal }: WayDown, pins: Pins) {
  const run = await runDespiteLock(() => stack.up(file.path, `rollback ${explainPins(pins)}`), {
    requestCancel: () => stopRunningUpdate(environment, (line) => terminal.stderr(`${line}\n`)),
    withdrawCancel: () => withdrawStop(environment),
    breakLock: () => stack.cancel(),
    progress: (line) => terminal.stderr(`${line}\n`),
  });
  const facts = await readFacts(environment, registry);
  const end = explainEnd(run, file, facts, `coordinator rollback ${env}`);
  return { end: end.outcome === "go" ? undefined : end, seconds: run.seconds };
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
export async function previewBack({ stack, file }: Pick<WayDown, "stack" | "file">): Promise<void> {
  const { run } = await planMove(stack, file);
  const strays = changesOutside(run.events.changes, touchable);
  if (strays.length === 0) return;
  throw new Refusal("no-go", [
    ...strays.slice(0, 20).map(({ op, type, name }) => `${op} ${type} ${name} would come along`),
    "a rollback may touch only Fleet, Wave, Flags and Traffic: check out the program that ran last here (coordinator history --json shows gitHead) and repeat",
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
