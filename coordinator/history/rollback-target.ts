import { parsePin } from "../../releases/pin.ts";
import { explainPins } from "./pinned-state.ts";
import type { Pins, PinnedState } from "./pinned-state.ts";

/** What the registry knows about pins in one environment. */
export interface PinRecords {
  /** Pins (`r1@9a0b11400000`) proven to work in this environment. */
  readonly verified: ReadonlySet<string>;
  /** Hashes that must never run again, with the reason somebody gave. */
  readonly rescinded: ReadonlyMap<string, string>;
}

/** Where a rollback goes, or why it goes nowhere. */
export type TargetChoice =
  | {
      readonly found: true;
      readonly nowByWave: Readonly<Record<string, string>>;
      readonly since: Date | undefined;
      readonly notes: readonly string[];
    }
  | { readonly found: false; readonly reasons: readonly string[] };

/**
 * The last verified pinned state that is not rescinded and is not what runs.
 * Only states that succeeded and in which no wave would move to a newer release count: a rollback never goes forward.
 */
export function defaultTarget(running: Pins, states: readonly PinnedState[], records: PinRecords): TargetChoice {
  const passedOver: string[] = [];
  for (const state of states) {
    if (state.result !== "succeeded") continue;
    const nowByWave = projected(running, state.pins);
    if (isSame(running, nowByWave) || movesForward(running, nowByWave)) continue;
    const objections = objectionsTo(nowByWave, running, records);
    if (objections.length === 0) return { found: true, nowByWave, since: state.at, notes: [] };
    passedOver.push(...objections);
  }
  const seen = [...new Set(passedOver)];
  return {
    found: false,
    reasons: [
      `history holds no verified state before ${explainPins(running)}${seen.length === 0 ? ": nothing older ran here" : ""}`,
      ...seen,
    ],
  };
}

/**
 * The target a person named: `r1` (the hash of it that ran here last) or `r1@9a0b11400000`. It must have run here; one that
 * was never verified is allowed, because a person chose it, and is noted.
 */
export function namedTarget(
  wanted: string,
  running: Pins,
  states: readonly PinnedState[],
  records: PinRecords,
): TargetChoice {
  const ran = [...new Set(states.filter(({ result }) => result === "succeeded").flatMap(({ pins }) => nowPins(pins)))];
  const pin = wanted.includes("@") ? ran.find((each) => each === wanted) : ran.find((each) => idOf(each) === wanted);
  if (pin === undefined) {
    const allowed = ran.filter((each) => !nowPins(running).includes(each));
    return {
      found: false,
      reasons: [`${wanted} never ran here; allowed: ${allowed.join(", ") || "nothing older ran here"}`],
    };
  }
  const rescinded = records.rescinded.get(parsePin(pin).hash);
  if (rescinded !== undefined) return { found: false, reasons: [`${pin} is rescinded: ${rescinded}`] };
  const nowByWave: Record<string, string> = {};
  for (const [wave, { now }] of Object.entries(running)) {
    nowByWave[wave] = numberOf(now) >= numberOf(pin) ? pin : now;
  }
  if (isSame(running, nowByWave)) {
    return { found: false, reasons: [`every wave runs ${pin} or an older release already (${explainPins(running)})`] };
  }
  const notes = records.verified.has(pin) ? [] : [`${pin} was never verified here; it was named by hand`];
  return { found: true, nowByWave, since: states.find(({ pins }) => nowPins(pins).includes(pin))?.at, notes };
}

/** One update per release: R3 to R1 goes over R2, because each release knows the way back of its own data only. */
export function stepsBack(
  running: Pins,
  nowByWave: Readonly<Record<string, string>>,
  states: readonly PinnedState[],
  pinOfNumber: (number: number) => string | undefined,
): Pins[] {
  const steps: Pins[] = [];
  let current = running;
  for (;;) {
    const next: Record<string, { now: string; back: string }> = {};
    let hasMoved = false;
    for (const [wave, pins] of Object.entries(current)) {
      const target = nowByWave[wave] ?? pins.now;
      const distance = numberOf(pins.now) - numberOf(target);
      const between = numberOf(pins.now) - 1;
      const stop =
        distance <= 1
          ? target
          : (states.flatMap((state) => nowPins(state.pins)).find((pin) => numberOf(pin) === between) ??
            pinOfNumber(between));
      if (stop === undefined)
        throw new Error(`r${between} is needed on the way from ${pins.now} to ${target} and is unknown`);
      next[wave] = stop === pins.now ? pins : { now: stop, back: pins.now };
      hasMoved ||= stop !== pins.now;
    }
    if (!hasMoved) return steps;
    steps.push(next);
    current = next;
  }
}

/** A wave that the old state did not know goes where the others went if they agree, else it stays. */
function projected(running: Pins, before: Pins): Record<string, string> {
  const agreed = new Set(nowPins(before));
  const [common] = agreed.size === 1 ? agreed : [];
  return Object.fromEntries(
    Object.entries(running).map(([wave, { now }]) => [wave, before[wave]?.now ?? common ?? now]),
  );
}

function objectionsTo(nowByWave: Record<string, string>, running: Pins, { verified, rescinded }: PinRecords): string[] {
  return Object.entries(nowByWave).flatMap(([wave, pin]) => {
    if (running[wave]?.now === pin) return [];
    const why = rescinded.get(parsePin(pin).hash);
    if (why !== undefined) return [`${pin} is rescinded: ${why}`];
    return verified.has(pin) ? [] : [`${pin} was never verified here; --to ${pin} takes it all the same`];
  });
}

function isSame(running: Pins, nowByWave: Readonly<Record<string, string>>): boolean {
  return Object.entries(running).every(([wave, { now }]) => nowByWave[wave] === now);
}

function movesForward(running: Pins, nowByWave: Readonly<Record<string, string>>): boolean {
  return Object.entries(running).some(([wave, { now }]) => numberOf(nowByWave[wave] ?? now) > numberOf(now));
}

function nowPins(pins: Pins): string[] {
  return Object.values(pins).map(({ now }) => now);
}

function idOf(pin: string): string {
  return parsePin(pin).id;
}

/** Position of a release in the order of releases: r2 and its correction r2b are 2. */
function numberOf(pin: string): number {
  return Number.parseInt(idOf(pin).slice(1), 10);
}
