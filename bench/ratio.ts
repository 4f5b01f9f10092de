/** One measured ratio: ours against the baseline of the same run. */
export interface Ratio {
  readonly name: string;
  readonly ratio: number;
  readonly goal: number;
  readonly better: "higher" | "lower";
  /** Medians and whatever else explains the ratio; units in the names. */
  readonly [detail: string]: number | string | readonly number[];
}

/** @param rounds of both sides, interleaved; 1 or more */
export type Bench = (rounds: number) => Promise<Ratio[]>;

/** Middle value; the mean of the two middle ones of an even count. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Two decimals are what such a measurement can carry. */
export const rounded = (value: number): number => Math.round(value * 100) / 100;
