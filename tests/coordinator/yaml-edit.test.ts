import assert from "node:assert/strict";
import { appendItem, removeEntry, removeItem, setBlock, setValue } from "../../coordinator/yaml-edit.ts";

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

  it("removes an item with its line or its comma, and leaves an empty list behind the last one", () => {
    assert.equal(
      removeItem("a:\n  - { n: x } # one\n  - n: y\n    z: 1\nb: 1\n", ["a"], 0),
      "a:\n  - n: y\n    z: 1\nb: 1\n",
    );
    assert.equal(
      removeItem("a:\n  - { n: x } # one\n  - n: y\n    z: 1\nb: 1\n", ["a"], 1),
      "a:\n  - { n: x } # one\nb: 1\n",
    );
    assert.equal(removeItem("a: [x, y, z]\n", ["a"], 1), "a: [x, z]\n");
    assert.equal(removeItem("a: [x, y]\n", ["a"], 1), "a: [x]\n");
    assert.equal(removeItem("a:\n  - x\nb: 2\n", ["a"], 0), "a: []\nb: 2\n");
    assert.equal(removeItem("a: [x]\n", ["a"], 1), "a: [x]\n");
  });

  it("writes a map one entry a line, in place of whatever stood there", () => {
    const entries = { "r1/x": { image: "h:1/x@sha256:a" }, keeper: "y" };
    const lines = "\n    r1/x: { image: h:1/x@sha256:a }\n    keeper: y";
    assert.equal(setBlock("c:\n  i: {}\n  b: 1\n", ["c", "i"], entries), `c:\n  i:${lines}\n  b: 1\n`);
    assert.equal(setBlock("c:\n  i: env:X\n", ["c", "i"], entries), `c:\n  i:${lines}\n`);
    assert.equal(setBlock("c:\n  i:\n    old: 1\n  b: 1\n", ["c", "i"], entries), `c:\n  i:${lines}\n  b: 1\n`);
    assert.equal(setBlock("c:\n  b: 1\n", ["c", "i"], entries), `c:\n  b: 1\n  i:${lines}\n`);
  });
});
