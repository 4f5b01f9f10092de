import { createHash } from "node:crypto";

/** A value that JSON can hold without loss. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/**
 * Canonical JSON as in RFC 8785: keys sorted by UTF-16 code unit, no white space, properties that are `undefined` left out.
 * @throws {TypeError} a value JSON cannot hold (NaN, a function, a Date, undefined in a list), with its path
 */
export function canonicalJson(value: unknown, path = "$"): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) {
    return `[${Array.from(value, (item, index) => canonicalJson(item, `${path}[${index}]`)).join(",")}]`;
  }
  if (typeof value === "object" && isPlain(value)) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member, `${path}.${key}`)}`);
    return `{${members.join(",")}}`;
  }
  const seen = typeof value === "number" ? String(value) : typeof value;
  throw new TypeError(
    `${path} is ${seen}: a content hash covers null, booleans, finite numbers, texts, lists and plain objects; write it as one of them`,
  );
}

/** sha256 of the canonical JSON of a value, 64 hexadecimal digits: the identity of a release. */
export function contentHash(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

/** Digits of a content hash that a pin carries. */
export const pinHashDigits = 12;

/** The first 12 digits of the content hash: what pins, holds and messages show. */
export function shortHash(value: unknown): string {
  return contentHash(value).slice(0, pinHashDigits);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
