import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { canonicalJson, contentHash, shortHash } from "../../releases/content-hash.ts";

/** The same value with the keys of every object in reverse order. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, reversed(member)]),
  );
}

describe("content hash", () => {
  it("is the sha256 of canonical JSON", () => {
    const text = '{"a":[1,"\u00e9",null],"b":{"c":true}}';
    assert.equal(canonicalJson({ b: { c: true, d: undefined }, a: [1, "é", null] }), text);
    assert.equal(contentHash({ b: { c: true }, a: [1, "é", null] }), createHash("sha256").update(text).digest("hex"));
    assert.match(shortHash({}), /^[0-9a-f]{12}$/);
  });

  it("orders keys by UTF-16 code unit, as RFC 8785 does", () => {
    const example = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
    const order = Object.keys(JSON.parse(canonicalJson(example)) as object).filter((key) => key !== "1");
    assert.deepEqual(order, ["\r", "\u0080", "\u00f6", "\u20ac", "\ud83d\ude00", "\ufb33"]);
  });

  it("does not depend on the order of keys", () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => assert.equal(contentHash(reversed(value)), contentHash(value))));
  });

  it("tells different values apart and reads back the same", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        const text = canonicalJson(one);
        assert.equal(canonicalJson(JSON.parse(text)), text);
        assert.equal(contentHash(one) === contentHash(other), text === canonicalJson(other));
      }),
    );
  });

  it("does not mistake a list for an object or a number for a text", () => {
    assert.notEqual(contentHash(["a"]), contentHash({ "0": "a" }));
    assert.notEqual(contentHash(1), contentHash("1"));
  });

  const refused: readonly [string, unknown, string][] = [
    ["NaN", { a: [Number.NaN] }, "$.a[0] is NaN"],
    ["an infinite number", { a: Infinity }, "$.a is Infinity"],
    ["undefined in a list", { a: [undefined] }, "$.a[0] is undefined"],
    ["a function", { a: () => 1 }, "$.a is function"],
    ["a date", { a: { b: new Date(0) } }, "$.a.b is object"],
    ["a bigint", 1n, "$ is bigint"],
  ];
  for (const [what, value, message] of refused) {
    it(`refuses ${what}, with its path`, () => {
      assert.throws(
        () => contentHash(value),
        (error) => error instanceof TypeError && error.message.startsWith(message),
      );
    });
  }
});
