import assert from "node:assert/strict";
import { changes, importedInputs, inputsFrom } from "../../local/plugins/diff.ts";
import { unknown } from "../../local/plugins/property.ts";
import type { Properties } from "../../local/plugins/property.ts";

const properties: Properties = {
  name: { kind: "string", isRequired: true, isReplacing: true },
  limit: { kind: "number", default: -1 },
  owner: { kind: "string", isComputed: true },
  envs: { kind: "strings", isSet: true, isReplacing: true },
  command: { kind: "strings" },
  check: {
    kind: "object",
    fields: { every: { kind: "string", default: "0s", isSame: (a, b) => a === b || (a === "60s" && b === "1m") } },
  },
  options: { kind: "map" },
  id: { kind: "string", isOutput: true },
};
const paths = (state: object, inputs: object): string[] =>
  changes(properties, state as never, inputs as never).map(
    ({ kind, path, isReplacing }) => `${kind} ${path}${isReplacing ? "!" : ""}`,
  );

describe("differences between state and program", () => {
  it("are none for defaults, what the server chose, outputs, and values that are absent or empty", () => {
    const state = { name: "a", limit: -1, owner: "root", id: "7", envs: [], options: {}, check: { every: "0s" } };
    assert.deepEqual(paths(state, { name: "a", check: {} }), []);
    assert.deepEqual(paths({ name: "a" }, { name: "a", envs: [], limit: -1 }), []);
  });

  it("name the place, the kind, and whether it replaces", () => {
    assert.deepEqual(paths({ name: "a" }, { name: "b" }), ["update name!"]);
    assert.deepEqual(paths({ name: "a" }, { name: "a", limit: 3 }), ["update limit"]);
    assert.deepEqual(paths({ name: "a", command: ["x", "y"] }, { name: "a", command: ["x", "z", "w"] }), [
      "update command[1]",
      "add command[2]",
    ]);
    assert.deepEqual(
      paths({ name: "a", options: { a: "1", b: "2" } }, { name: "a", options: { a: "1", "c-d": "3" } }),
      ["delete options.b", 'add options["c-d"]'],
    );
    assert.deepEqual(paths({ name: "a", envs: ["A=1"] }, { name: "a" }), ["delete envs!"]);
  });

  it("ignore the order of a set, and minds that of a list", () => {
    assert.deepEqual(paths({ name: "a", envs: ["A", "B"] }, { name: "a", envs: ["B", "A"] }), []);
    assert.notDeepEqual(paths({ name: "a", command: ["A", "B"] }, { name: "a", command: ["B", "A"] }), []);
  });

  it("take an unknown value for a change", () => {
    assert.deepEqual(paths({ name: "a" }, { name: unknown }), ["update name!"]);
    assert.deepEqual(paths({ name: "a", envs: ["A"] }, { name: "a", envs: [unknown] }), ["update envs[0]!"]);
  });

  it("take another spelling of the same value for none, and keep the program's on a refresh", () => {
    assert.deepEqual(paths({ name: "a", check: { every: "60s" } }, { name: "a", check: { every: "1m" } }), []);
    assert.deepEqual(inputsFrom(properties, { name: "a", limit: 3 }, { name: "a", limit: 5, owner: "root" }), {
      name: "a",
      limit: 5,
    });
  });

  it("of an import are what the official plugin would not fill in by itself", () => {
    const outputs = { name: "a", limit: -1, owner: "root", id: "7" };
    assert.deepEqual(importedInputs(properties, outputs), { name: "a", owner: "root" });
  });
});
