import type { Environment } from "../../releases/environment.ts";
import type { StackRun } from "../environment-stack.ts";
import { cleanLine } from "../report/markdown-text.ts";
import { changesOutside } from "../stack-events.ts";
import { gate } from "./gate.ts";
import type { Gate } from "./gate.ts";

/** Nodes whose truth is a ledger or the registry: they are looked at there, with every preview. */
const ledgerNodes = ["Wave", "Tenants", "Guard", "Flags"];

/** Who can hold the world against the state of a stack. */
export interface DriftLook {
  previewRefresh(): Promise<StackRun>;
}

/**
 * Is the world as the last update left it? A refresh is previewed: every provider reads its resources, nothing is written and no
 * lock is taken. What somebody changed by hand would be lost with the update, or break it. Asked only where the stack file does.
 */
export async function driftGate({ drift }: Environment, stack: DriftLook): Promise<Gate[]> {
  if (drift === "ignore") return [];
  const made = { id: "drift", title: "The world is as the last update left it", canOverride: true } as const;
  const { failure, events } = await stack.previewRefresh();
  if (failure !== undefined) {
    const evidence = `nobody could look: ${cleanLine(failure)}; pulumi refresh --preview-only shows why`;
    return [gate({ ...made, outcome: "needs-human", evidence })];
  }
  const strays = changesOutside(events.changes, ledgerNodes);
  if (strays.length === 0)
    return [gate({ ...made, outcome: "go", evidence: "a refresh would change nothing of the infrastructure" })];
  const shown = strays.slice(0, 10).map(({ op, type, name, diffs }) => {
    const what =
      op === "delete" ? "is gone" : `differs${diffs.length === 0 ? "" : ` in ${diffs.slice(0, 5).join(", ")}`}`;
    return `${type} ${cleanLine(name, 100)} ${what}`;
  });
  const more = strays.length > shown.length ? ` and ${strays.length - shown.length} more` : "";
  const mend = "put it back, or take it over: pulumi refresh --preview-only, then pulumi refresh";
  return [gate({ ...made, outcome: "needs-human", evidence: `${shown.join("; ")}${more}; ${mend}` })];
}
