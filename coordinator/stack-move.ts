import { parseEnvironment } from "../releases/environment.ts";
import type { Environment } from "../releases/environment.ts";
import { withCandidate } from "./candidate-file.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import type { EnvironmentStack, StackRun } from "./environment-stack.ts";
import { Refusal } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import type { StackFile } from "./stack-file.ts";
import { explainPins } from "./history/pinned-state.ts";

/** What an edited stack file would do. Nothing is written: neither the file nor the world. */
export interface MovePlan {
  readonly environment: Environment;
  readonly run: StackRun;
}

/**
 * Checks and previews an edited stack file.
 * @throws {FaultReport} when the edit makes the file unsound
 * @throws {Refusal} when a guard of the program refuses (holds, rescinded hashes, positions), with its reasons
 */
export async function planMove(stack: EnvironmentStack, file: StackFile): Promise<MovePlan> {
  const environment = parseEnvironment(file.environment(), file.path);
  const run = await withCandidate(file, (path) => stack.preview(path));
  if (run.failure === undefined) return { environment, run };
  const refusals = refusalsIn(run.failure);
  if (refusals.length > 0) throw new Refusal("no-go", [...refusals, `nothing was changed; ${file.path} is as it was`]);
  const mend = /passphrase/.test(run.failure)
    ? "; set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to the passphrase of this stack"
    : "";
  throw new Error(`the preview failed, nothing was changed: ${run.failure}${mend}`);
}

/** The reasons of provider checks: Pulumi prints them as `... has a problem: <reason>`. */
export function refusalsIn(failure: string): string[] {
  const found = failure.split("\n").flatMap((line) => /has a problem: (.*)$/.exec(line)?.[1] ?? []);
  return [...new Set(found)];
}

/** How an update left things: what a command has to say after `up`, whatever the engine's exit code. */
export interface MoveEnd {
  readonly outcome: Outcome;
  readonly lines: readonly string[];
}

/**
 * Tells the truth after an update: which nodes are unfinished, what the file says and where every tenant really is.
 * @param after facts read after the update
 * @param goOn the command that continues
 */
export function explainEnd(run: StackRun, file: StackFile, after: EnvironmentFacts, goOn: string): MoveEnd {
  if (run.failure !== undefined) {
    const refusals = refusalsIn(run.failure);
    return {
      outcome: refusals.length > 0 ? "no-go" : "error",
      lines: [
        `the update stopped after ${run.seconds.toFixed(0)} s: ${refusals.join("; ") || run.failure}`,
        `${file.path} pins ${explainPins(file.pins())}`,
        ...explainWorld(after),
        `to go on: ${goOn}`,
      ],
    };
  }
  const unfinished = run.events.nodes.filter(({ status }) => status !== "done");
  if (unfinished.length === 0) return { outcome: "go", lines: [] };
  return {
    outcome: "needs-human",
    lines: [
      ...unfinished.map(({ name, status, summary }) => `${name}: ${status}: ${summary}`),
      ...explainWorld(after),
      `to go on: ${goOn}`,
    ],
  };
}

/** Where the tenants of each wave are routed to, counted by pin. */
export function explainWorld(facts: EnvironmentFacts): string[] {
  if (!facts.hasRegistry) return ["the registry does not exist yet: no tenant is served"];
  return [...facts.waves].map(([wave, tenants]) => {
    const counts = new Map<string, number>();
    for (const { pin } of tenants) counts.set(pin ?? "no release", (counts.get(pin ?? "no release") ?? 0) + 1);
    const parts = [...counts].sort().map(([pin, count]) => `${count} on ${pin}`);
    return `${wave}: ${parts.length === 0 ? "no tenants" : `${tenants.length} tenants, ${parts.join(", ")}`}`;
  });
}
