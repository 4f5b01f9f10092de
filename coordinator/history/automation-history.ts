import type { Stack, UpdateSummary } from "@pulumi/pulumi/automation/index.js";
import { environmentKey } from "./history.ts";
import type { History, HistoryEntry, HistoryReading } from "./history.ts";

/** History of any backend through Pulumi itself. Secrets stay encrypted: nothing here needs them. */
export class AutomationHistory implements History {
  readonly #stack: Stack;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  async read(): Promise<HistoryReading> {
    const summaries = await this.#stack.history(undefined, undefined, false);
    return { entries: summaries.map(entryOf), warnings: [] };
  }
}

function entryOf(summary: UpdateSummary): HistoryEntry {
  return {
    kind: summary.kind,
    result: summary.result,
    startedAt: summary.startTime,
    endedAt: summary.endTime,
    message: summary.message,
    gitHead: summary.environment["git.head"],
    environment: environmentOf(summary),
  };
}

function environmentOf(summary: UpdateSummary): unknown {
  const value = summary.config[environmentKey];
  if (!value || value.secret) return undefined;
  try {
    return JSON.parse(value.value);
  } catch {
    return undefined;
  }
}
