import Table from "cli-table3";
import type { Command } from "commander";
import { explainPins } from "./history/pinned-state.ts";
import { pinnedStates } from "./history/pinned-state.ts";
import type { HistoryEntry } from "./history/history.ts";
import type { Report } from "./outcome.ts";
import { openStack, withCommonOptions } from "./project.ts";
import type { CommonOptions, Surroundings } from "./project.ts";
import { runCommand } from "./terminal.ts";

interface HistoryOptions extends CommonOptions {
  readonly limit: number;
}

export function registerHistory(program: Command, surroundings: Surroundings): void {
  withCommonOptions(program.command("history").description("what ran in an environment, newest first"))
    .option("--limit <count>", "updates to show", Number, 20)
    .addHelpText("after", "\nExample:\n  coordinator history --env prod --limit 5\n")
    .action(async (options: HistoryOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => showHistory(options, surroundings)));
    });
}

/** Reads the stack's past from its backend; works on every backend and survives entries that cannot be read. */
export async function showHistory(options: HistoryOptions, surroundings: Surroundings): Promise<Report> {
  const stack = await openStack(options, surroundings);
  const { entries, warnings } = await stack.history();
  for (const warning of warnings) surroundings.terminal.stderr(`warning: ${warning}\n`);
  const shown = entries.slice(0, options.limit).map((entry) => rowOf(entry, options.env));
  const table = new Table({ head: ["when", "kind", "result", "pins", "message"], style: { head: [], border: [] } });
  for (const row of shown) table.push([row.at, row.kind, row.result, row.pins, row.message]);
  const text = shown.length === 0 ? `${options.env} has no history yet` : table.toString();
  return { outcome: "go", text, data: { environment: options.env, entries: shown, warnings } };
}

function rowOf(entry: HistoryEntry, environment: string) {
  const [state] = pinnedStates([entry], environment);
  return {
    at: (entry.endedAt ?? entry.startedAt).toISOString(),
    kind: entry.kind,
    result: entry.result,
    pins: state ? explainPins(state.pins) : "-",
    message: entry.message,
    gitHead: entry.gitHead ?? null,
  };
}
