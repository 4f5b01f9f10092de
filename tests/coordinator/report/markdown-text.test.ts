import assert from "node:assert/strict";
import fc from "fast-check";
import { cleanLine, code, fenced, inline } from "../../../coordinator/report/markdown-text.ts";
import { nodesOf, textOf } from "./markdown-tree.ts";

/** Pieces that people and attackers write, beside every other text. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary", maxLength: 12 }),
      fc.constantFrom(
        "@security",
        "@org/team",
        "#12",
        "ana@example.org",
        "mailto:ben@example.org",
        "GH-7",
        "```",
        "``",
        "`",
        "~~~",
        "<script>",
        "</details>",
        "<!-- x -->",
        "-->",
        "![a](http://x/y.png)",
        "[a](javascript:b)",
        "https://evil.example/?a=1",
        "www.evil.example",
        "\u001b[31m",
        "\u001b]8;;http://x\u0007",
        "\u202e",
        "\u200b",
        "\n\n# head",
        "\n- item",
        "\r\n> quote",
        "| a | b |",
        "**",
        "__",
        "&lt;",
        "&#64;all",
        "\\",
        "$x^2$",
        "1. ",
        "- [ ] ",
        "---",
        "\u0000",
        "\ud800",
        "\u2028",
        "[^1]: note",
        ":smile:",
      ),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(""));

/** Kinds that a line of plain words, or one name as code, is made of. */
const plainKinds = new Set([
  "root",
  "paragraph",
  "text",
  "sentence",
  "word",
  "whitespace",
  "inlineCode",
  "list",
  "listItem",
]);

describe("text in a comment", () => {
  it("is shown as it is, and is never an element, a link, a picture, a heading or a list", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const line = `- x ${inline(text)}`;
        const nodes = nodesOf(line);
        assert.deepEqual(
          [...new Set(nodes.map(({ type }) => type))].filter((type) => !plainKinds.has(type)),
          [],
          line,
        );
        assert.equal(nodes.filter(({ type }) => type === "list").length, 1);
        const shown = textOf(line).replaceAll("\u200b", "");
        assert.equal(shown, `x ${cleanLine(text)}`.trim());
      }),
      { numRuns: 2_000 },
    );
  });

  it("calls nobody and links to no issue and no address", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const shown = textOf(`- x ${inline(text)}`);
        assert.doesNotMatch(shown, /(?<!\w)@[\w-]/);
        assert.doesNotMatch(shown, /#\d|https?:\/\/|www\.|GH-\d/i);
      }),
      { numRuns: 2_000 },
    );
  });

  it("keeps a pin as it can be copied", () => {
    assert.equal(inline("r2@6ddb29be9a97 follows"), "r2@6ddb29be9a97 follows");
  });

  it("stays in one code span, whatever stands in it", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const nodes = nodesOf(`- ${code(text)}`);
        const spans = nodes.filter(({ type }) => type === "inlineCode");
        assert.equal(spans.length, 1, code(text));
        assert.equal((spans[0]?.value ?? "").trim(), cleanLine(text).replaceAll("|", "\u00a6").trim());
      }),
      { numRuns: 1_000 },
    );
  });

  it("stays in one block of code, and the text after it is text again", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const nodes = nodesOf(`${fenced(text)}\n\nafter`);
        assert.deepEqual(
          nodes.filter(({ type }) => type === "code" || type === "paragraph").map(({ type }) => type),
          ["code", "paragraph"],
        );
      }),
      { numRuns: 1_000 },
    );
  });

  it("has no sign that nobody sees", () => {
    fc.assert(
      fc.property(hostile, (text) => {
        for (const shown of [cleanLine(text), fenced(text)])
          assert.doesNotMatch(
            shown,
            /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/,
          );
      }),
      { numRuns: 1_000 },
    );
    assert.equal(cleanLine("\u001b[31mred\u001b[0m \u001b]8;;http://x\u0007link"), "red link");
  });

  it("is cut at its limit, in whole signs", () => {
    assert.equal(cleanLine("\u{1f600}".repeat(10), 5), `${"\u{1f600}".repeat(2)}...`);
  });
});
