/** What a property may hold. Nested objects name their fields in `fields`; `map` is string to string. */
export type PropertyKind = "string" | "boolean" | "number" | "strings" | "map" | "object" | "objects";

/** One property of a resource type or of a provider's configuration, as the official plugin's schema describes it. */
export interface Property {
  readonly kind: PropertyKind;
  readonly isRequired?: boolean;
  /** A change makes a new resource and deletes the old one ("force new" in the official schema). */
  readonly isReplacing?: boolean;
  /** The value is encrypted in state, even when the program did not mark it. */
  readonly isSecret?: boolean;
  /** Set by the server only; a program that sets it is refused. */
  readonly isOutput?: boolean;
  /** The server chooses a value when the program names none, so an absent input is no change. */
  readonly isComputed?: boolean;
  /** The order of the elements carries no meaning. */
  readonly isSet?: boolean;
  /** The official plugin changes the id with this property; a stand-in cannot, and refuses the change. */
  readonly isFixed?: boolean;
  /** Absent in the program: the resource's own name, a dash and seven random hexadecimal digits. */
  readonly isAutonamed?: boolean;
  /** What the official plugin fills in when the program names no value. */
  readonly default?: Value;
  readonly fields?: Properties;
  /** The reason a value is refused, or undefined when it is allowed. Called with known values only. */
  readonly refuse?: (value: Value) => string | undefined;
  /** Whether two values that differ as text mean the same, e.g. `60s` and `1m0s`. */
  readonly isSame?: (left: Value, right: Value) => boolean;
}

export type Properties = Readonly<Record<string, Property>>;

/** A plain property value: JSON, or {@link unknown} during a preview. */
export type Value = string | number | boolean | null | undefined | symbol | Value[] | { [key: string]: Value };

export type Values = Record<string, Value>;

/** Stands for a value that only the update will know. */
export const unknown: unique symbol = Symbol("unknown until the update");

/** Whether a value is unknown, or holds something that is. */
export function hasUnknown(value: Value): boolean {
  if (value === unknown) return true;
  if (Array.isArray(value)) return value.some(hasUnknown);
  return isValues(value) && Object.values(value).some(hasUnknown);
}

export function isValues(value: Value): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A property as text; an absent one is the empty text, as the official plugins' schema has it. */
export function text(value: Value): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}

/** A property that holds a list of strings; an absent one is empty. */
export function texts(value: Value): string[] {
  return Array.isArray(value) ? value.map(text) : [];
}
