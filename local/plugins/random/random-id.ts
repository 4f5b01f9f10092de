import { randomBytes } from "node:crypto";
import { text } from "../property.ts";
import type { Value } from "../property.ts";
import type { ResourceType } from "../resource-type.ts";

/** Random bytes in four spellings; `byteLength` in bytes, at least 1. */
export const randomId: ResourceType<undefined> = {
  token: "random:index/randomId:RandomId",
  properties: {
    byteLength: { kind: "number", isRequired: true, isReplacing: true, refuse: atLeastOne },
    keepers: { kind: "map", isReplacing: true },
    prefix: { kind: "string", isReplacing: true },
    b64Std: { kind: "string", isOutput: true },
    b64Url: { kind: "string", isOutput: true },
    dec: { kind: "string", isOutput: true },
    hex: { kind: "string", isOutput: true },
  },
  async create(_, inputs) {
    const bytes = randomBytes(Number(inputs["byteLength"]));
    const prefix = text(inputs["prefix"] ?? "");
    const id = bytes.toString("base64url");
    const outputs = {
      b64Std: prefix + bytes.toString("base64"),
      b64Url: prefix + id,
      dec: prefix + BigInt(`0x${bytes.toString("hex")}`).toString(),
      hex: prefix + bytes.toString("hex"),
    };
    return { id, outputs };
  },
  read: async (_, __, state) => state,
  delete: async () => {},
};

function atLeastOne(value: Value): string | undefined {
  return Number.isInteger(value) && Number(value) >= 1
    ? undefined
    : `is ${text(value)}, but must be a whole number from 1`;
}
