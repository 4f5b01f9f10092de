/** One measured ratio: ours against the baseline of the same run. */
export interface Ratio {
  readonly name: string;
  readonly ratio: number;
  readonly goal: number;
  readonly better: "higher" | "lower";
  /** Medians and whatever else explains the ratio; units in the names. */
  readonly [detail: string]: number | string | readonly number[];
}

/** How much is measured. */
export interface BenchOptions {
  /** Rounds of both sides, interleaved; 1 or more. A median needs five. */
  readonly rounds: number;
  /** Rows, tenants or requests of a side; what it counts stands in each bench. @default the bench's own */
  readonly rows?: number;
}

export type Bench = (options: BenchOptions) => Promise<Ratio[]>;

/** What a bench finds when it starts: nothing, a PostgreSQL and a Vault of its own, or the platform of `make up`. */
export type Needs = "nothing" | "servers" | "platform";

/** Whether the goal was reached. */
export function isMet({ ratio, goal, better }: Ratio): boolean {
  return better === "higher" ? ratio >= goal : ratio <= goal;
}

/** Middle value; the mean of the two middle ones of an even count. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The value below which `part` (0 to 1) of the values are, interpolated; NaN for none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const lower = sorted[Math.floor(place)] ?? Number.NaN;
  const upper = sorted[Math.ceil(place)] ?? Number.NaN;
  return lower + (upper - lower) * (place - Math.floor(place));
}

/** Two decimals are what such a measurement can carry; three digits of what is small. */
export const rounded = (value: number): number =>
  Math.abs(value) >= 0.1 || value === 0 ? Math.round(value * 100) / 100 : Number(value.toPrecision(3));

/** Runs two sides in turns, `rounds` times each; the side that begins changes, so that neither always has the warmer caches. */
export async function interleave(
  rounds: number,
  ours: (round: number) => Promise<void>,
  theirs: (round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const sides = round % 2 === 0 ? [theirs, ours] : [ours, theirs];
    for (const side of sides) await side(round);
  }
}

/** Runs something. @returns seconds */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return (performance.now() - startMs) / 1000;
}
