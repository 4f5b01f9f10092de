import type { Environment } from "../releases/environment.ts";
import { findPinned, findRelease, sinkMirrorsOf } from "../releases/catalog.ts";
import { parsePin, pinOf } from "../releases/pin.ts";
import type { Release } from "../releases/release.ts";
import { rollback } from "../releases/rules.ts";
import { mirrorStates } from "./environment-facts.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { explainPins } from "./history/pinned-state.ts";
import type { PinnedState, Pins } from "./history/pinned-state.ts";
import { defaultTarget, namedTarget, stepsBack } from "./history/rollback-target.ts";
import { Refusal, worst } from "./outcome.ts";
import type { Outcome } from "./outcome.ts";
import { restoration } from "./restoration.ts";
import type { Restoration } from "./restoration.ts";
import { runningPins } from "./running-pins.ts";

/** Where a rollback goes, over which steps, and what the rules say about the first of them. */
export interface RollbackPlan {
  readonly running: Pins;
  /** Pins after each step; one step a release. */
  readonly steps: readonly Pins[];
  readonly waves: readonly string[];
  readonly outcome: Outcome;
  readonly reasons: readonly string[];
  /** Data time of the first step at measured rates; undefined when something was not measured. */
  readonly dataSeconds: number | undefined;
  readonly restoration: Restoration;
  /** True when an earlier rollback stopped half way and this one only goes on. */
  readonly isResumed: boolean;
}

export interface RollbackQuestion {
  readonly environment: Environment;
  readonly file: Pins;
  readonly states: readonly PinnedState[];
  readonly facts: EnvironmentFacts;
  /** `r1` or `r1@<hash>`; undefined: the last verified state. */
  readonly to: string | undefined;
}

/**
 * Decides everything that can be decided by reading.
 * @throws {Refusal} no-go, with the reasons and the way forward
 */
export function planRollback({ environment, file, states, facts, to }: RollbackQuestion): RollbackPlan {
  const running = runningPins(file, states, facts);
  const [last] = states;
  const isResumed =
    last?.result === "failed" && last.message.startsWith("rollback ") && explainPins(running) === explainPins(file);
  const records = { verified: facts.verified, rescinded: facts.rescinded };
  const choice = isResumed
    ? {
        found: true as const,
        nowByWave: nowOf(file),
        notes: ["the rollback before this one stopped half way; going on with it"],
      }
    : to === undefined
      ? defaultTarget(running, states, records)
      : namedTarget(to, running, states, records);
  if (!choice.found) throw new Refusal("no-go", choice.reasons);
  const pinOfNumber = (number: number) => {
    const release = findRelease(`r${number}`);
    return release && pinOf(release);
  };
  const steps = isResumed ? [file] : stepsBack(running, choice.nowByWave, states, pinOfNumber);
  const [first = file] = steps;
  const waves = Object.keys(first).filter((wave) => isResumed || first[wave]?.now !== running[wave]?.now);
  const [wave = ""] = waves;
  const from = catalogued(running[wave]?.now ?? "");
  const target = catalogued(first[wave]?.now ?? "");
  const verdicts = isResumed
    ? []
    : waves.map((each) =>
        rollback(catalogued(running[each]?.now ?? ""), catalogued(first[each]?.now ?? ""), mirrorStates(facts, each), {
          runtime: environment.runtime,
          rescinded: [...facts.rescinded.keys()],
        }),
      );
  const seconds = verdicts.map(({ dataSeconds }) => dataSeconds);
  return {
    running,
    steps,
    waves,
    outcome: worst(verdicts.map(({ outcome }) => outcome)),
    reasons: [...choice.notes, ...new Set(verdicts.flatMap(({ reasons }) => reasons))],
    dataSeconds: seconds.some((each) => each === undefined)
      ? undefined
      : seconds.reduce<number>((sum, each) => sum + (each ?? 0), 0),
    restoration: restoration(from, target, waves, facts, sinkMirrorsOf),
    isResumed,
  };
}

function nowOf(pins: Pins): Record<string, string> {
  return Object.fromEntries(Object.entries(pins).map(([wave, { now }]) => [wave, now]));
}

/** @throws {Refusal} when this checkout does not hold the release with that content */
function catalogued(pin: string): Release {
  const release = findPinned(parsePin(pin));
  if (release !== undefined) return release;
  throw new Refusal("no-go", [
    `this checkout does not hold ${pin}; check out the commit that does (coordinator history --json shows gitHead), or name another with --to`,
  ]);
}
