import type { EngineEvent, StepEventMetadata } from "@pulumi/pulumi/automation/index.js";
import { propertyChanges } from "./property-change.ts";
import type { PropertyChange } from "./property-change.ts";

/** One resource that an update touches or would touch. */
export interface ResourceChange {
  readonly urn: string;
  /** Last part of the URN. */
  readonly name: string;
  /** Short type of the resource, e.g. `Cutover` or `Container`. */
  readonly type: string;
  /** Types of all its ancestors and itself, e.g. `["Platform", "Wave", "Cutover"]`. */
  readonly path: readonly string[];
  readonly op: string;
  /** Property paths that differ, without Pulumi's own `__*`. */
  readonly diffs: readonly string[];
  /** The same with their values. */
  readonly properties: readonly PropertyChange[];
}

/** What a migration node said it reached. */
export interface NodeStatus {
  readonly urn: string;
  readonly name: string;
  readonly status: string;
  readonly summary: string;
}

const untouched = new Set(["same", "read", "refresh", "discard", "read-replacement"]);

/** Gathers what a preview or an update tells through its events: log text is for people and changes between versions. */
export class StackEvents {
  readonly changes: ResourceChange[] = [];
  readonly failed: ResourceChange[] = [];
  readonly errors: string[] = [];
  readonly notes: string[] = [];
  readonly nodes: NodeStatus[] = [];
  readonly #progress: (line: string) => void;
  readonly #isPreview: boolean;

  constructor(kind: "preview" | "update", progress: (line: string) => void) {
    this.#isPreview = kind === "preview";
    this.#progress = progress;
  }

  /** Handed to the Automation API as `onEvent`. */
  readonly take = (event: EngineEvent): void => {
    if (event.diagnosticEvent) this.#takeDiagnostic(event.diagnosticEvent);
    if (event.resourcePreEvent && this.#isPreview) this.#takeChange(event.resourcePreEvent.metadata);
    if (event.resOutputsEvent) this.#takeOutputs(event.resOutputsEvent.metadata);
    if (event.resOpFailedEvent) this.failed.push(changeOf(event.resOpFailedEvent.metadata));
  };

  #takeDiagnostic(diagnostic: NonNullable<EngineEvent["diagnosticEvent"]>): void {
    const text = plainText(`${diagnostic.prefix ?? ""}${diagnostic.message}`).trim();
    if (text === "") return;
    if (diagnostic.severity === "error") this.errors.push(text);
    else if (diagnostic.ephemeral) this.#progress(text);
    else if (diagnostic.severity === "info") {
      this.notes.push(text);
      this.#progress(text);
    }
  }

  #takeChange(step: StepEventMetadata): void {
    if (!untouched.has(step.op)) this.changes.push(changeOf(step));
  }

  #takeOutputs(step: StepEventMetadata): void {
    const outputs = step.new?.outputs ?? {};
    if (typeof outputs["status"] === "string" && typeof outputs["summary"] === "string") {
      const { name } = changeOf(step);
      this.nodes.push({ urn: step.urn, name, status: outputs["status"], summary: outputs["summary"] });
    }
    if (this.#isPreview || untouched.has(step.op)) return;
    const change = changeOf(step);
    this.changes.push(change);
    this.#progress(`${change.op} ${change.type} ${change.name}`);
  }
}

/**
 * Changes outside the given parts of the graph (`Fleet`, `Wave`, ...). Left out are the stack itself, whose outputs always
 * follow, and default providers: their version and settings come from this machine's plugins, not from the program.
 */
export function changesOutside(changes: readonly ResourceChange[], parts: readonly string[]): ResourceChange[] {
  return changes.filter(
    ({ path, urn }) =>
      !/::pulumi:pulumi:Stack::|::pulumi:providers:[^:]+::default/.test(urn) &&
      !path.some((type) => parts.includes(type)),
  );
}

function changeOf(step: StepEventMetadata): ResourceChange {
  const [, , types = "", name = ""] = step.urn.split("::");
  const path = types.split("$").map((type) => type.slice(type.lastIndexOf(":") + 1));
  const diffs = (step.detailedDiff ? Object.keys(step.detailedDiff) : (step.diffs ?? [])).filter(
    (each) => !each.startsWith("__"),
  );
  const properties = propertyChanges(step);
  return { urn: step.urn, name, type: path.at(-1) ?? types, path, op: step.op, diffs, properties };
}

/** Engine messages carry colour directives (`<{%fg 1%}>`) and terminal escapes. */
function plainText(text: string): string {
  return text.replace(/<\{%[^%]*%\}>/g, "").replace(/\u001b\[[0-9;]*m/g, "");
}
