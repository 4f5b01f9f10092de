import { randomInt } from "node:crypto";
import { text } from "../property.ts";
import type { Property, Values } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";
import { bcryptHash } from "./bcrypt.ts";

const characters = {
  lower: "abcdefghijklmnopqrstuvwxyz",
  upper: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
  numeric: "0123456789",
  special: "!@#$%&*()-_=+[]{}<>:?",
};
type CharacterClass = keyof typeof characters;

const included: Property = { kind: "boolean", isReplacing: true, default: true };
const minimum: Property = { kind: "number", isReplacing: true, default: 0 };

/** A random text kept encrypted in state, and its bcrypt hash; `length` in characters, at least 1 and the sum of the minima. */
export const randomPassword: ResourceType<undefined> = {
  token: "random:index/randomPassword:RandomPassword",
  schemaVersion: 3,
  properties: {
    length: { kind: "number", isRequired: true, isReplacing: true },
    keepers: { kind: "map", isReplacing: true },
    lower: included,
    upper: included,
    numeric: included,
    // The deprecated name of `numeric`: the official plugin writes both, equal.
    number: {
      kind: "boolean",
      isReplacing: true,
      isComputed: true,
      refuse: () => 'is deprecated, set "numeric" instead',
    },
    special: included,
    minLower: minimum,
    minUpper: minimum,
    minNumeric: minimum,
    minSpecial: minimum,
    overrideSpecial: { kind: "string", isReplacing: true },
    result: { kind: "string", isOutput: true, isSecret: true },
    bcryptHash: { kind: "string", isOutput: true, isSecret: true },
  },
  refuse(inputs) {
    const length = inputs["length"];
    if (typeof length !== "number") return [];
    const minima = classes(inputs).reduce((sum, { least }) => sum + least, 0);
    if (!Number.isInteger(length) || length < Math.max(1, minima)) {
      return [
        [
          "length",
          `"length" is ${length}, but must be a whole number from ${Math.max(1, minima)} (the sum of the minima)`,
        ],
      ];
    }
    if (classes(inputs).length > 0) return [];
    return [["special", '"lower", "upper", "numeric" and "special" are all false; at least one must be true']];
  },
  async create(_, inputs) {
    const result = password(Number(inputs["length"]), classes(inputs));
    return { id: "none", outputs: { number: inputs["numeric"], result, bcryptHash: bcryptHash(result) } };
  },
  read: async (_, __, state) => state,
  delete: async () => {},
};

function classes(inputs: Values): { alphabet: string; least: number }[] {
  const override = text(inputs["overrideSpecial"] ?? "");
  return (Object.keys(characters) as CharacterClass[]).flatMap((name) => {
    const least = Number(inputs[`min${name.charAt(0).toUpperCase()}${name.slice(1)}`] ?? 0);
    if (inputs[name] === false && least === 0) return [];
    const alphabet = name === "special" && override !== "" ? override : characters[name];
    return [{ alphabet: inputs[name] === false ? "" : alphabet, least }].filter((entry) => entry.alphabet !== "");
  });
}

function password(length: number, from: readonly { alphabet: string; least: number }[]): string {
  const draw = (alphabet: string): string => alphabet.charAt(randomInt(alphabet.length));
  const picked = from.flatMap(({ alphabet, least }) => Array.from({ length: least }, () => draw(alphabet)));
  const all = from.map(({ alphabet }) => alphabet).join("");
  while (picked.length < length) picked.push(draw(all));
  // Fisher-Yates, so that the required characters do not all stand in front.
  for (let index = picked.length - 1; index > 0; index -= 1) {
    const other = randomInt(index + 1);
    [picked[index], picked[other]] = [picked[other] as string, picked[index] as string];
  }
  return picked.join("");
}
