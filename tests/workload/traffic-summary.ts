import { readTrafficLog, type TrafficEntry } from "./traffic-log.ts";

export interface OperationTimes {
  /** Answered operations. */
  readonly count: number;
  /** Waits behind the fence included, milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface TrafficSummary {
  readonly runs: number;
  readonly operations: number;
  readonly ok: number;
  /** HTTP 4xx and 5xx that the fence does not excuse, and a fence that outlasted the client's patience. */
  readonly failed: number;
  /** No answer; writes that a killed generator had begun are among them. */
  readonly unknown: number;
  /** Operations that met the fence at least once, whatever became of them. */
  readonly fenced: number;
  readonly perOperation: Readonly<Record<string, OperationTimes>>;
  /** Longest time one operation waited for the fence, milliseconds; tenants that met none are not listed. */
  readonly longestFenceMs: Readonly<Record<string, number>>;
  /** The first failures, for the message of whoever demanded none. */
  readonly failures: readonly string[];
}

const FAILURES_SHOWN = 20;

/** Counts a whole log, all of its runs. */
export function summary(logFile: string): TrafficSummary {
  const { runs, entries, unfinished } = readTrafficLog(logFile);
  const count = (test: (entry: TrafficEntry) => boolean): number => entries.filter(test).length;
  const longestFenceMs: Record<string, number> = {};
  const times: Record<string, number[]> = {};
  for (const { op, ms, status, tenant, fencedMs, fencedRetries } of entries) {
    if (status !== null) (times[op] ??= []).push(ms);
    if (fencedRetries > 0) longestFenceMs[tenant] = Math.max(longestFenceMs[tenant] ?? 0, fencedMs);
  }
  return {
    runs: runs.length,
    operations: entries.length + unfinished.length,
    ok: count(({ result }) => result === "ok"),
    failed: count(({ result }) => result === "failed"),
    unknown: count(({ result }) => result === "unknown") + unfinished.length,
    fenced: count(({ fencedRetries }) => fencedRetries > 0),
    perOperation: Object.fromEntries(Object.entries(times).map(([op, values]) => [op, timesOf(values)])),
    longestFenceMs,
    failures: entries
      .filter(({ result }) => result === "failed")
      .slice(0, FAILURES_SHOWN)
      .map(
        ({ at, tenant, op, id, status, refusal }) => `${at} ${tenant} ${op} ${id ?? "?"} ${status} ${refusal ?? ""}`,
      ),
  };
}

function timesOf(values: number[]): OperationTimes {
  values.sort((one, two) => one - two);
  // Nearest rank: a percentile that was really measured.
  const rank = (share: number): number => values[Math.max(0, Math.ceil(share * values.length) - 1)] as number;
  return { count: values.length, p50Ms: rank(0.5), p99Ms: rank(0.99) };
}
