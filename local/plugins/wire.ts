import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { isValues, unknown } from "./property.ts";
import type { Value, Values } from "./property.ts";

// Fixed by Pulumi's wire format: the key that marks a special object, and the mark of a secret.
const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
// An unknown value travels as a text, one for each type it may turn out to have. The first is the one we send.
const unknownMarks = [
  "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
];

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Properties as they arrived: with secrets in clear, and once more with their marks, to mark outputs alike. */
export interface Received {
  readonly values: Values;
  readonly marked: Json;
}

/** Reads a message's properties. Keys that begin with two underscores are the engine's or the official plugin's own and stay out. */
export function receive(message: struct.Struct | undefined): Received {
  const marked = (message?.toJavaScript() ?? {}) as Record<string, Json>;
  const values: Values = {};
  for (const [key, value] of Object.entries(marked)) {
    if (!key.startsWith("__") && value !== null) values[key] = clear(value);
  }
  return { values, marked };
}

/**
 * Packs properties for the engine. A value is a secret when its key is in `secretKeys`, or when the same place in one
 * of `alike` (inputs, earlier state) was.
 */
export function send(
  values: Values,
  secretKeys: Iterable<string> = [],
  alike: readonly Received[] = [],
): struct.Struct {
  const secrets = new Set(secretKeys);
  const packed: Record<string, Json> = {};
  for (const [key, value] of Object.entries(values)) {
    if (value === undefined || value === null) continue;
    const models = alike.map((received) => (received.marked as Record<string, Json>)[key]);
    const json = pack(value);
    packed[key] = secrets.has(key) ? secret(json) : models.reduce<Json>((marked, model) => mark(marked, model), json);
  }
  return struct.Struct.fromJavaScript(packed);
}

function clear(json: Json): Value {
  if (typeof json === "string") return unknownMarks.includes(json) ? unknown : json;
  if (Array.isArray(json)) return json.map(clear);
  if (typeof json !== "object" || json === null) return json;
  if (json[signatureKey] === secretSignature) return clear(json["value"] ?? null);
  const values: Values = {};
  for (const [key, value] of Object.entries(json)) {
    if (!key.startsWith("__") && value !== null) values[key] = clear(value);
  }
  return values;
}

function pack(value: Value): Json {
  if (value === unknown) return unknownMarks[0] as string;
  if (Array.isArray(value)) return value.map(pack);
  if (isValues(value)) {
    const entries = Object.entries(value).filter(([, entry]) => entry !== undefined && entry !== null);
    return Object.fromEntries(entries.map(([key, entry]) => [key, pack(entry)]));
  }
  return value as Json;
}

/** Marks as secret whatever is secret in `model`; where the shapes differ the whole value is, so that nothing leaks. */
function mark(value: Json, model: Json | undefined): Json {
  if (model === undefined || !hasSecret(model) || isSecret(value)) return value;
  if (isSecret(model)) return secret(value);
  if (Array.isArray(value) && Array.isArray(model) && value.length === model.length) {
    const sameOrder = value.every((entry, index) => {
      const entryModel = model[index] ?? null;
      return hasSecret(entryModel) || JSON.stringify(entry) === JSON.stringify(entryModel);
    });
    return sameOrder ? value.map((entry, index) => mark(entry, model[index])) : secret(value);
  }
  if (isObject(value) && isObject(model)) {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, mark(entry, model[key])]));
  }
  return secret(value);
}

function secret(value: Json): Json {
  return isSecret(value) ? value : { [signatureKey]: secretSignature, value };
}

function isSecret(json: Json): boolean {
  return isObject(json) && json[signatureKey] === secretSignature;
}

function hasSecret(json: Json): boolean {
  if (Array.isArray(json)) return json.some(hasSecret);
  return isObject(json) && (json[signatureKey] === secretSignature || Object.values(json).some(hasSecret));
}

function isObject(json: Json): json is { [key: string]: Json } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
