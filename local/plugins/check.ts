import { createHash, randomBytes } from "node:crypto";
import { hasUnknown, isValues, text, unknown } from "./property.ts";
import type { Properties, Property, Value, Values } from "./property.ts";

/** A refused property: where, and why with what is allowed and the mend. */
export interface Refusal {
  readonly property: string;
  readonly reason: string;
}

/** Which plugin and type speaks, for the text of a refusal. */
export interface Subject {
  readonly token: string;
  readonly plugin: string;
  readonly version: string;
}

/** Every fault of the inputs at once: unserved, missing, mistyped, not allowed. */
export function refusals(subject: Subject, properties: Properties, inputs: Values): Refusal[] {
  return faults(subject, properties, inputs, "");
}

/** Faults of a change that the official plugin serves by changing the id. */
export function fixedRefusals(subject: Subject, properties: Properties, olds: Values, inputs: Values): Refusal[] {
  return Object.entries(properties)
    .filter(([name, property]) => property.isFixed && olds[name] !== undefined && inputs[name] !== undefined)
    .filter(([name]) => inputs[name] !== unknown && olds[name] !== inputs[name])
    .map(([name]) => ({
      property: name,
      reason:
        `"${name}" changes from "${text(olds[name])}" to "${text(inputs[name])}"; the local stand-in ` +
        `cannot rename. Make a new resource under a new name, or use the official plugin: ${installCommand(subject)}`,
    }));
}

/** Inputs with the official plugin's defaults, as the server is asked for them. Nested objects are completed too. */
export function complete(properties: Properties, inputs: Values): Values {
  const completed: Values = {};
  for (const [name, property] of Object.entries(properties)) {
    const value = inputs[name] ?? property.default;
    if (value !== undefined) completed[name] = completeValue(property, value);
  }
  return completed;
}

/**
 * The name of a resource whose program names none: the one it had, or `<resource>-<7 hex>`; the seed makes the preview
 * and the update agree.
 */
export function autonames(properties: Properties, urn: string, seed: Uint8Array, olds: Values, inputs: Values): Values {
  const names: Values = {};
  for (const [name, property] of Object.entries(properties)) {
    if (!property.isAutonamed || inputs[name] !== undefined) continue;
    const bytes = seed.length > 0 ? createHash("sha256").update(seed).update(name).digest() : randomBytes(4);
    names[name] = olds[name] ?? `${urn.split("::").at(-1)}-${bytes.toString("hex").slice(0, 7)}`;
  }
  return names;
}

function completeValue(property: Property, value: Value): Value {
  const fields = property.fields;
  if (fields === undefined) return value;
  if (Array.isArray(value)) return value.map((entry) => (isValues(entry) ? complete(fields, entry) : entry));
  return isValues(value) ? complete(fields, value) : value;
}

function faults(subject: Subject, properties: Properties, inputs: Values, prefix: string): Refusal[] {
  const found: Refusal[] = [];
  for (const [name, value] of Object.entries(inputs)) {
    const property = properties[name];
    const path = prefix + name;
    if (property === undefined || property.isOutput)
      found.push({ property: path, reason: unserved(subject, path, properties) });
    else found.push(...valueFaults(subject, property, value, path));
  }
  for (const [name, property] of Object.entries(properties)) {
    if (property.isRequired && inputs[name] === undefined) {
      found.push({ property: prefix + name, reason: `"${prefix + name}" is missing and required` });
    }
  }
  return found;
}

function valueFaults(subject: Subject, property: Property, value: Value, path: string): Refusal[] {
  if (value === unknown || value === undefined || value === null) return [];
  if (!isOfKind(property, value)) {
    // The value itself stays out of the text: it may be a secret.
    const reason = `"${path}" is ${described(value)}, but must be ${described(property.kind, true)}`;
    return [{ property: path, reason }];
  }
  const fields = property.fields;
  if (fields !== undefined) {
    const entries = Array.isArray(value) ? value : [value];
    return entries.flatMap((entry, index) =>
      isValues(entry) ? faults(subject, fields, entry, `${path}${Array.isArray(value) ? `[${index}]` : ""}.`) : [],
    );
  }
  const reason = hasUnknown(value) ? undefined : property.refuse?.(value);
  return reason === undefined ? [] : [{ property: path, reason: `"${path}" ${reason}` }];
}

function isOfKind(property: Property, value: Value): boolean {
  const isText = (entry: Value): boolean => typeof entry === "string" || entry === unknown;
  switch (property.kind) {
    case "strings":
      return Array.isArray(value) && value.every(isText);
    case "map":
      return isValues(value) && Object.values(value).every(isText);
    case "object":
      return isValues(value);
    case "objects":
      return Array.isArray(value) && value.every((entry) => isValues(entry) || entry === unknown);
    default:
      return typeof value === property.kind;
  }
}

function described(value: Value, isKind = false): string {
  const kinds: Record<string, string> = {
    strings: "a list of strings",
    map: "an object of strings",
    objects: "a list of objects",
    object: "an object",
  };
  if (isKind) return kinds[text(value)] ?? `a ${text(value)}`;
  if (Array.isArray(value)) return "a list";
  return isValues(value) ? "an object" : `a ${typeof value}`;
}

function unserved(subject: Subject, path: string, properties: Properties): string {
  const served = Object.keys(properties).filter((name) => !properties[name]?.isOutput);
  return (
    `${subject.token}: the local stand-in of the ${subject.plugin} plugin does not serve "${path}" (it serves ${served.join(", ")}). ` +
    `Leave it out, or use the official plugin: ${installCommand(subject)}`
  );
}

function installCommand(subject: Subject): string {
  return `pulumi plugin install resource ${subject.plugin} ${subject.version}`;
}
