import Table from "cli-table3";
import type { InstalledTool } from "./install.ts";

/** The first output of `make up`: tool, version, source, minutes, and the total. */
export function toolTable(tools: readonly InstalledTool[]): string {
  const table = new Table({
    head: ["tool", "version", "source", "minutes"],
    colAligns: ["left", "left", "left", "right"],
    style: { head: [], border: [], compact: true },
  });
  const minutes = (seconds: number): string => (seconds / 60).toFixed(1);
  for (const { tool, version, source, seconds } of tools) table.push([tool, version, source, minutes(seconds)]);
  const total = tools.reduce((sum, { seconds }) => sum + seconds, 0);
  table.push(["total", "", "", minutes(total)]);
  return table.toString();
}
