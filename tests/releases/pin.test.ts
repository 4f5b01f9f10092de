import assert from "node:assert/strict";
import fc from "fast-check";
import { findPinned, getPinned, getRelease } from "../../releases/catalog.ts";
import { findPinIn, formatPin, parsePin, pinOf } from "../../releases/pin.ts";

const hexDigit = fc.constantFrom(..."0123456789abcdef");
const pins = fc.record({
  id: fc
    .tuple(fc.integer({ min: 1, max: 99 }), fc.constantFrom("", "a", "b", "z"))
    .map(([number, letter]) => `r${number}${letter}`),
  hash: fc.array(hexDigit, { minLength: 12, maxLength: 12 }).map((digits) => digits.join("")),
});

describe("pin", () => {
  it("reads back what it writes", () => {
    fc.assert(fc.property(pins, (pin) => assert.deepEqual(parsePin(formatPin(pin)), { ...pin })));
  });

  it("finds no pin in any other text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const pin = findPinIn(text);
        if (pin !== undefined) assert.equal(formatPin(pin), text);
      }),
    );
    for (const text of [
      "r2",
      "r2@",
      "r2@4f1c9e2",
      "r2@4F1C9E2A0B11",
      "r0@4f1c9e2a0b11",
      " r2@4f1c9e2a0b11",
      "r2@4f1c9e2a0b11\n",
    ]) {
      assert.equal(findPinIn(text), undefined, JSON.stringify(text));
    }
  });

  it("says what a pin looks like", () => {
    assert.throws(() => parsePin("r2"), {
      message:
        '"r2" is no pin; allowed is a pin such as r2@4f1c9e2a0b11: release id, @, 12 hexadecimal digits of its content hash; coordinator lint prints the pins of all releases',
    });
  });

  it("names a release only while its content is what was pinned", () => {
    const r2 = getRelease("r2");
    const pin = parsePin(pinOf(r2));
    assert.equal(getPinned(pin), r2);
    const edited = { ...r2, title: `${r2.title}!` };
    assert.notEqual(pinOf(edited), pinOf(r2));
    assert.equal(findPinned(pin, [edited]), undefined);
    assert.throws(() => getPinned(pin, [edited]), {
      message: `r2 is pinned at ${pin.hash}, but releases/r2.ts has the content hash ${parsePin(pinOf(edited)).hash}: pin ${pinOf(edited)}, or check out the commit that holds ${pin.hash}`,
    });
  });
});
