import assert from "node:assert/strict";
import { appendItem, removeEntry, setValue } from "../../coordinator/yaml-edit.ts";

describe("an edit of YAML text", () => {
  it("replaces a scalar and keeps the comment behind it", () => {
    assert.equal(setValue("a:\n  b: old   # why\n  c: 1\n", ["a", "b"], "new"), "a:\n  b: new   # why\n  c: 1\n");
  });

  it("adds to a block map behind its last entry, comments included", () => {
    const text = "a:\n  b:\n    c: 1 # one\n# next\nd: 2\n";
    assert.equal(setValue(text, ["a", "b", "e"], true), "a:\n  b:\n    c: 1 # one\n    e: true\n# next\nd: 2\n");
    assert.equal(setValue(text, ["a", "x"], "y"), "a:\n  b:\n    c: 1 # one\n  x: y\n# next\nd: 2\n");
  });

  it("adds to a flow map and to an empty one", () => {
    assert.equal(setValue("a: {b: 1}\n", ["a", "c"], true), "a: {b: 1, c: true}\n");
    assert.equal(setValue("a: {}\n", ["a", "c"], true), "a: { c: true }\n");
    assert.equal(setValue("a:\nb: 1\n", ["a", "c"], true), "a: { c: true }\nb: 1\n");
  });

  it("makes the maps that are missing on the way", () => {
    assert.equal(setValue("a:\n  b: 1", ["a", "p", "canary", "now"], "r2"), "a:\n  b: 1\n  p: { canary: { now: r2 } }");
  });

  it("appends to flow and block lists", () => {
    assert.equal(appendItem("a: [x]\n", ["a"], "y"), "a: [x, y]\n");
    assert.equal(appendItem("a:\n  - x # first\nb: 1\n", ["a"], "y"), "a:\n  - x # first\n  - y\nb: 1\n");
    assert.equal(appendItem("a: []\n", ["a"], "y"), "a: [y]\n");
  });

  it("removes an entry with its line or its comma, and a map that it leaves empty", () => {
    assert.equal(removeEntry("a:\n  b: [1]\n  c: 2\n", ["a", "b"]), "a:\n  c: 2\n");
    assert.equal(removeEntry("a: {b: 1, c: 2}\n", ["a", "b"]), "a: {c: 2}\n");
    assert.equal(removeEntry("a: {b: 1, c: 2}\n", ["a", "c"]), "a: {b: 1}\n");
    assert.equal(removeEntry("a:\n  b:\n    - 1\n    - 2\nc: 3\n", ["a", "b"]), "c: 3\n");
    assert.equal(removeEntry("a: 1\n", ["b"]), "a: 1\n");
  });
});
