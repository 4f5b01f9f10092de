import type { HistoryEntry } from "./history.ts";

/** What a wave is pinned to: `r2@4f1c9e2a0b11`, and the release it can go back to (`none` closes the window). */
export interface WavePins {
  readonly now: string;
  readonly back: string;
}

/** The pins of every wave, by name of the wave. */
export type Pins = Readonly<Record<string, WavePins>>;

/** The pins of one environment at one time of its past. */
export interface PinnedState {
  readonly pins: Pins;
  readonly at: Date;
  readonly result: HistoryEntry["result"];
  readonly message: string;
  readonly gitHead: string | undefined;
}

/**
 * The pinned states of one environment, newest first. Left out: previews, refreshes and destroys (they pin nothing), and entries
 * whose config belongs to another project or to another environment that shares the stack's name.
 */
export function pinnedStates(entries: readonly HistoryEntry[], environmentName: string): PinnedState[] {
  return entries.flatMap((entry) => {
    if (entry.kind !== "update" || !isRecord(entry.environment)) return [];
    if (entry.environment["name"] !== environmentName) return [];
    const pins = pinsOf(entry.environment["pins"]);
    if (!pins) return [];
    const { result, message, gitHead } = entry;
    return [{ pins, at: entry.endedAt ?? entry.startedAt, result, message, gitHead }];
  });
}

/** What the last good update pinned; nothing before the first one. */
export function lastPins(entries: readonly HistoryEntry[], environmentName: string): Pins {
  return pinnedStates(entries, environmentName).find(({ result }) => result === "succeeded")?.pins ?? {};
}

/** `r2@4f1c9e2a0b11`, or `canary r2@.., general r1@..` when the waves differ. */
export function explainPins(pins: Pins): string {
  const distinct = new Set(Object.values(pins).map(({ now }) => now));
  const [only = "nothing"] = distinct;
  if (distinct.size <= 1) return only;
  return Object.entries(pins)
    .map(([wave, { now }]) => `${wave} ${now}`)
    .join(", ");
}

function pinsOf(value: unknown): Pins | undefined {
  if (!isRecord(value) || Object.keys(value).length === 0) return undefined;
  const pins: Record<string, WavePins> = {};
  for (const [wave, pair] of Object.entries(value)) {
    if (!isRecord(pair) || typeof pair["now"] !== "string") return undefined;
    pins[wave] = { now: pair["now"], back: typeof pair["back"] === "string" ? pair["back"] : "none" };
  }
  return pins;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
