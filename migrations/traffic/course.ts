/** One step of traffic. */
export interface TrafficStep {
  readonly percent: number;
  readonly soakMinutes: number;
}

/** How far the traffic has come. */
export interface Progress {
  readonly percent: number;
  /** The soak of that share has ended and its gates were `go`. */
  readonly isProven: boolean;
  /** End of the soak. */
  readonly waitingUntil?: Date;
}

/** What comes next. */
export type Move =
  | { readonly kind: "enter"; readonly step: number }
  | { readonly kind: "wait"; readonly until: Date }
  | { readonly kind: "judge"; readonly step: number }
  | { readonly kind: "arrived" };

/**
 * The next thing to do on the way through some steps, whose percents rise. Pure: time is an argument, and nobody waits here.
 * @param steps of one phase; shares below the first belong to the phase before
 * @param at undefined: nothing was begun
 */
export function nextMove(steps: readonly TrafficStep[], at: Progress | undefined, now: Date): Move {
  const percent = at?.percent ?? 0;
  const step = steps.findLastIndex((each) => each.percent <= percent);
  const isBeyond = percent > (steps.at(-1)?.percent ?? 0);
  if (steps.length === 0 || isBeyond) return { kind: "arrived" };
  if (at === undefined || step === -1) return { kind: "enter", step: 0 };
  if (at.isProven) return step + 1 < steps.length ? { kind: "enter", step: step + 1 } : { kind: "arrived" };
  if (at.waitingUntil !== undefined && at.waitingUntil > now) return { kind: "wait", until: at.waitingUntil };
  return { kind: "judge", step };
}

/** When the soak of a step that begins now will have ended. */
export function soakEnd({ soakMinutes }: TrafficStep, now: Date): Date {
  return new Date(now.getTime() + soakMinutes * 60_000);
}
