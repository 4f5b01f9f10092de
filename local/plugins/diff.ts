import { complete } from "./check.ts";
import { hasUnknown, isValues, unknown } from "./property.ts";
import type { Properties, Property, Value, Values } from "./property.ts";

/** One changed place, e.g. `envs[2]`. */
export interface Change {
  readonly path: string;
  readonly kind: "add" | "delete" | "update";
  readonly isReplacing: boolean;
}

/** Changes from what state says to what the program asks; an empty list means nothing to do. */
export function changes(properties: Properties, state: Values, inputs: Values): Change[] {
  const olds = complete(properties, state);
  const news = complete(properties, inputs);
  const found: Change[] = [];
  for (const [name, property] of Object.entries(properties)) {
    if (property.isOutput) continue;
    const was = olds[name];
    const wanted = news[name];
    if (wanted === undefined && property.isComputed) continue;
    if (isSameValue(property, was, wanted)) continue;
    for (const place of places(property, name, was, wanted)) {
      found.push({ ...place, isReplacing: property.isReplacing === true });
    }
  }
  return found;
}

/** The program's inputs as they would have to read to describe what the server has, for a refresh that finds drift. */
export function inputsFrom(properties: Properties, inputs: Values, outputs: Values): Values {
  const drifted: Values = {};
  for (const [name, value] of Object.entries(inputs)) {
    const property = properties[name];
    if (property === undefined) continue;
    drifted[name] = isSameValue(property, outputs[name], completed(property, value)) ? value : outputs[name];
  }
  return drifted;
}

/** Inputs that describe a resource found by an import: everything that is not what the official plugin fills in by itself. */
export function importedInputs(properties: Properties, outputs: Values): Values {
  const entries = Object.entries(properties).filter(([name, property]) => {
    if (property.isOutput) return false;
    return property.isRequired || property.isAutonamed || !isSameValue(property, outputs[name], property.default);
  });
  return Object.fromEntries(entries.map(([name]) => [name, outputs[name]]));
}

function completed(property: Property, value: Value): Value {
  return complete({ value: property }, { value })["value"];
}

function isSameValue(property: Property, left: Value, right: Value): boolean {
  if (hasUnknown(left) || hasUnknown(right)) return false;
  if (property.isSame?.(left, right)) return true;
  // The official plugins' schema cannot tell an absent value from an empty one.
  if (isEmpty(left) && isEmpty(right)) return true;
  if (isEmpty(left) !== isEmpty(right)) return false;
  if (property.fields !== undefined) {
    if (isValues(left) && isValues(right)) return isSameObject(property.fields, left, right);
    if (Array.isArray(left) && Array.isArray(right)) {
      return isSameList(left, right, property.isSet === true, (was, wanted) =>
        isValues(was) && isValues(wanted) ? isSameObject(property.fields ?? {}, was, wanted) : was === wanted,
      );
    }
    return false;
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    return isSameList(left, right, property.isSet === true, (was, wanted) => was === wanted);
  }
  if (isValues(left) && isValues(right)) {
    const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
    return [...keys].every((key) => left[key] === right[key]);
  }
  return left === right;
}

function isSameObject(fields: Properties, left: Values, right: Values): boolean {
  return Object.entries(fields).every(
    ([name, field]) => (right[name] === undefined && field.isComputed) || isSameValue(field, left[name], right[name]),
  );
}

function isSameList(
  left: Value[],
  right: Value[],
  isSet: boolean,
  isSame: (left: Value, right: Value) => boolean,
): boolean {
  if (left.length !== right.length) return false;
  if (!isSet) return left.every((entry, index) => isSame(entry, right[index]));
  const rest = [...right];
  return left.every((entry) => {
    const index = rest.findIndex((candidate) => isSame(entry, candidate));
    if (index >= 0) rest.splice(index, 1);
    return index >= 0;
  });
}

function places(property: Property, path: string, was: Value, wanted: Value): Omit<Change, "isReplacing">[] {
  if (isEmpty(was)) return [{ path, kind: "add" }];
  if (isEmpty(wanted)) return [{ path, kind: "delete" }];
  if (Array.isArray(was) && Array.isArray(wanted)) {
    const length = Math.max(was.length, wanted.length);
    return Array.from({ length }, (_, index) => index).flatMap((index) => {
      if (JSON.stringify(was[index]) === JSON.stringify(wanted[index]) && !hasUnknown(wanted[index])) return [];
      const kind = index >= was.length ? "add" : index >= wanted.length ? "delete" : "update";
      return [{ path: `${path}[${index}]`, kind } as const];
    });
  }
  if (isValues(was) && isValues(wanted)) {
    const names = new Set([...Object.keys(was), ...Object.keys(wanted)]);
    return [...names].flatMap((name) => {
      const field: Property = property.fields?.[name] ?? { kind: "string" };
      if (wanted[name] === undefined && field.isComputed) return [];
      const key = /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
      return isSameValue(field, was[name], wanted[name]) ? [] : places(field, path + key, was[name], wanted[name]);
    });
  }
  return [{ path, kind: "update" }];
}

function isEmpty(value: Value): boolean {
  if (value === unknown) return false;
  if (Array.isArray(value)) return value.length === 0;
  if (isValues(value)) return Object.keys(value).length === 0;
  return value === undefined || value === null || value === "" || value === 0 || value === false;
}
