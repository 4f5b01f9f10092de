import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { pieceMaxBytes, pieceMinBytes, piecesOf, titleOf } from "../../local/seed/piece.ts";

const cut = (text: string): string[] => {
  const bytes = Buffer.from(text);
  return [...piecesOf(bytes, createHash("sha256").update(bytes).digest())];
};
const withoutSpace = (text: string): string => text.replaceAll(/\s/g, "");

describe("pieces of a text", () => {
  it("stay within the sizes and never break a character", () => {
    const words = fc.constantFrom("prompt ", "ключ ", "鍵を封じる", "🗝️ключ", "clé\n", "مفتاح ", "\n\n");
    fc.assert(
      fc.property(fc.array(words, { maxLength: 4000 }), (parts) => {
        const text = parts.join("");
        const pieces = cut(text);
        for (const piece of pieces) {
          const bytes = Buffer.byteLength(piece);
          assert.ok(bytes >= pieceMinBytes && bytes <= pieceMaxBytes, `${bytes} bytes`);
          assert.ok(!piece.includes("\uFFFD"), "a character was cut in two");
        }
        // In their order and once: nothing is made up.
        let from = 0;
        for (const piece of pieces.map(withoutSpace)) {
          const at = withoutSpace(text).indexOf(piece, from);
          assert.ok(at >= 0, "a piece stands in the text after the one before it");
          from = at + piece.length;
        }
      }),
      { numRuns: 60 },
    );
  });

  it("end at a line when one is near", () => {
    const pieces = cut("one line of a text that is long enough to be worth a prompt\n".repeat(200));
    assert.ok(pieces.length > 3);
    // The shortest have no line end beyond the least size.
    for (const piece of pieces) assert.ok(piece.length < 300 || piece.endsWith("prompt"), piece.slice(-20));
  });

  it("cut one endless line too", () => {
    assert.ok(cut("слово".repeat(40_000)).length > 10);
  });

  it("leave out short texts and tables of numbers", () => {
    assert.deepEqual(cut("too short"), []);
    assert.deepEqual(cut("0x1234, 5678, 9012,\n".repeat(100)), []);
  });

  it("have their first words as title, without markup", () => {
    assert.equal(titleOf("---\n\n## Sealing a prompt\n\ntext", "x"), "Sealing a prompt");
    assert.equal(titleOf("1 2 3", "a/b.md"), "a/b.md");
    assert.equal(Array.from(titleOf("🗝ключ".repeat(100), "x")).length, 80);
  });
});
