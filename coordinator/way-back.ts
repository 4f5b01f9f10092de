import type { MirrorState } from "../releases/mirror-state.ts";
import type { Outcome } from "../releases/verdict.ts";
import { findRelease, getRelease } from "../releases/catalog.ts";
import { pinOf, parsePin } from "../releases/pin.ts";
import { rollback, rollbackBudgetMinutes } from "../releases/rules.ts";
import { mirrorStates, projectionAsOf } from "./environment-facts.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import type { Pins } from "./history/pinned-state.ts";

/** Can this wave go back, how long does it take, and until when is it that quick? */
export interface WayBack {
  readonly wave: string;
  readonly from: string;
  /** undefined: `from` is the first release. */
  readonly to: string | undefined;
  readonly outcome: Outcome;
  readonly reasons: readonly string[];
  /** Drain, rebuild and flips at the measured rates; undefined when nothing was measured. */
  readonly seconds: number | undefined;
  /** The same once the wave is finalized. */
  readonly secondsAfterFinalize: number | undefined;
  /** Oldest reading of a ledger behind these numbers. */
  readonly asOf: Date | undefined;
}

/** Lock, flip and route of one tenant; the cutover's transaction itself is limited to 0.4 s. */
const flipSeconds = 0.5;

/**
 * The answer for every wave, from what is pinned and where the mirrors stand.
 * @param statesOf where the mirrors of a wave stand @default what the registry's projection says now
 */
export function waysBack(
  pins: Pins,
  facts: EnvironmentFacts,
  statesOf: (wave: string) => readonly MirrorState[] = (wave) => mirrorStates(facts, wave),
): WayBack[] {
  return Object.entries(pins).map(([wave, { now, back }]) => {
    const from = getRelease(parsePin(now).id);
    const earlier = back === "none" ? from.requires.releases.at(-1) : parsePin(back).id;
    const to = earlier === undefined ? undefined : findRelease(earlier);
    const asOf = projectionAsOf(facts);
    if (to === undefined) {
      const reasons = [`${now} is the first release: there is nothing to go back to`];
      return {
        wave,
        from: now,
        to: undefined,
        outcome: "no-go",
        reasons,
        seconds: undefined,
        secondsAfterFinalize: undefined,
        asOf,
      };
    }
    const states = statesOf(wave);
    const verdict = rollback(from, to, states);
    const retired = states.map(
      (state) => ({ ...state, position: state.position === "switched" ? "retired" : state.position }) as const,
    );
    const later = rollback(from, to, retired);
    const flips = (verdict.instantTenants + verdict.rebuildTenants) * flipSeconds;
    return {
      wave,
      from: now,
      to: back === "none" ? pinOf(to) : back,
      outcome: verdict.outcome,
      reasons: verdict.reasons,
      seconds: verdict.dataSeconds === undefined ? undefined : verdict.dataSeconds + flips,
      secondsAfterFinalize: later.dataSeconds === undefined ? undefined : later.dataSeconds + flips,
      asOf,
    };
  });
}

/** One line for the answer and one for each reason. */
export function explainWayBack(way: WayBack): string {
  const { wave, from, to, outcome, seconds, secondsAfterFinalize } = way;
  if (to === undefined) return `${wave}: no way back: ${way.reasons.join("; ")}`;
  const asOf = way.asOf === undefined ? "" : ` (as of ${way.asOf.toISOString()})`;
  const time = seconds === undefined ? "nobody measured how long" : `about ${duration(seconds)}`;
  const can = outcome === "go" ? `yes, ${time}` : outcome === "no-go" ? "no" : `only if somebody decides so, ${time}`;
  const after =
    secondsAfterFinalize === undefined || secondsAfterFinalize === seconds
      ? ""
      : `; once finalized a rebuild, about ${duration(secondsAfterFinalize)} of the promised ${rollbackBudgetMinutes} min`;
  const head = `${wave}: back from ${from} to ${to}: ${can}${after}${asOf}`;
  return [head, ...way.reasons.map((reason) => `    - ${reason}`)].join("\n");
}

/** `8 s`, `3 min`, `2.5 h`. */
export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.ceil(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
