import type { WaveInputs } from "../wave-inputs.ts";

/**
 * How many tenants of a wave may be left behind on the way forward before the waves after it wait: whole tenants, the smaller of
 * the share and the number. None where regions move in lockstep: there one failure takes every region back.
 */
export function mayFail({ failureBudget, regions }: WaveInputs, members: number): number {
  if (failureBudget === undefined || regions.length > 1) return 0;
  const { maxFailedPercent, maxFailures = Infinity } = failureBudget;
  return Math.min(Math.floor((members * maxFailedPercent) / 100), maxFailures);
}
