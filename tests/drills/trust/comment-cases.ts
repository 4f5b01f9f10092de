import assert from "node:assert/strict";
import { commentLimitBytes, marker, renderComment } from "../../../coordinator/report/comment.ts";
import { cleanLine, inline } from "../../../coordinator/report/markdown-text.ts";
import { parseReports } from "../../../coordinator/report/report-file.ts";
import type { StackReport } from "../../../coordinator/report/stack-report.ts";
import { promotion, quiet } from "../../coordinator/report/example-reports.ts";
import type { SeededRandom } from "../../workload/seeded-random.ts";
import type { DrillCase } from "../drill.ts";

/** A comment that is asked for too much, or for something else than text. */
function comment(
  title: string,
  make: (random: SeededRandom) => readonly StackReport[],
  check: (text: string) => void,
): DrillCase {
  return {
    title,
    async run(_stage, random) {
      const reports = make(random);
      const text = renderComment(reports);
      assert.ok(Buffer.byteLength(text) < commentLimitBytes, `${Buffer.byteLength(text)} bytes`);
      assert.ok(text.startsWith(marker), "it begins with its marker");
      assert.equal(text.split(marker).length, 2, "and holds it once");
      assert.equal(text.split("<details>").length, text.split("</details>").length, "what is opened is closed");
      assert.match(text, /can I go back\?/);
      assert.equal(renderComment([...reports].reverse()), text, "the order does not matter");
      check(text);
    },
  };
}

const nothing = () => undefined;
const long = (random: SeededRandom, length: number) =>
  Array.from({ length }, () => random.pick([..."abcdefgh `<|\u{1f600}"])).join("");
const notes = (...releaseNotes: string[]): StackReport[] => [{ ...promotion, releaseNotes }];

export const commentCases: readonly DrillCase[] = [
  comment(
    "a comment of 3,000 resources with long diffs",
    (random) => [
      {
        ...promotion,
        changes: Array.from({ length: 3000 }, (_, nth) => ({
          op: random.pick(["create", "update", "replace", "delete"]),
          type: "Deployment",
          name: `service-${nth}`,
          properties: [
            { path: "spec", from: long(random, 200), to: long(random, 200), forcesReplacement: false, isSecret: false },
          ],
        })),
      },
    ],
    (text) => assert.match(text, /Cut to fit into a comment; all of it: `coordinator report --json`/),
  ),
  comment(
    "a comment of 400 environments",
    () => Array.from({ length: 400 }, (_, nth) => ({ ...promotion, environment: `team-${nth}` })),
    (text) => assert.match(text, /environments do not fit in here/),
  ),
  comment(
    "a comment of 5,000 blockers",
    (random) => [{ ...promotion, outcome: "no-go", blockers: Array.from({ length: 5000 }, () => long(random, 300)) }],
    (text) => assert.match(text, /What stands in the way[^]*and \d+ more/),
  ),
  comment(
    "release notes of a megabyte",
    (random) => notes(...Array.from({ length: 1000 }, () => long(random, 1000))),
    nothing,
  ),
  comment("release notes that forge the marker", () => notes(`r2: ${marker}`, `</details>${marker}`), nothing),
  comment(
    "release notes that close the fold and open a heading",
    () => notes("</details>\n\n# Approved by security\n\n<details>"),
    (text) => assert.doesNotMatch(text, /^# Approved/m),
  ),
  comment(
    "release notes with HTML, a script and an image",
    () => notes('<script>alert(1)</script><img src="https://evil.example/x">'),
    (text) => {
      assert.doesNotMatch(text, /<script|<img/);
      assert.doesNotMatch(text, /https:\/\/evil/);
    },
  ),
  comment(
    "release notes that call everybody and close issues",
    () => notes("fixes #12, @everyone and @org/security, GH-3"),
    (text) => {
      assert.doesNotMatch(text, /@everyone|@org\/security|#12|GH-3/);
    },
  ),
  comment(
    "release notes with terminal escapes and invisible characters",
    () => notes("fine\u001b[2K\u001b]0;gone\u0007\u0000\u202ereversed\u200b\ufeff"),
    (text) => assert.doesNotMatch(text, /[\u0000-\u0008\u001b\u202e\ufeff]/),
  ),
  comment(
    "release notes with a link, a table and a fence",
    () => notes("[click](javascript:alert(1)) | a | b | ```\n~~~ \n| --- |"),
    (text) => {
      assert.doesNotMatch(text, /(?<!\\)\]\(javascript/);
      assert.doesNotMatch(text, /^(~~~|\| --- \|$)/m);
    },
  ),
  comment(
    "an environment whose name is markdown",
    () => [{ ...quiet, environment: "dev`| **prod** <b>" }],
    (text) => assert.doesNotMatch(text.replaceAll(/(`+)[^\n]*?\1/g, ""), /<b>|\*\*prod\*\* /),
  ),
  {
    title: "a JSON twin that is no report, too short, or of another kind",
    async run() {
      for (const text of [
        "",
        "{",
        "[]",
        "null",
        '{"stacks":{}}',
        '{"stacks":[{}]}',
        JSON.stringify({ stacks: [{ ...quiet, outcome: "fine" }] }),
      ])
        assert.throws(() => parseReports(text, "prod.json"), /prod\.json/, text);
      assert.equal(parseReports(JSON.stringify({ stacks: [quiet] }), "prod.json").length, 1);
    },
  },
  {
    title: "a line of any characters stays one line and calls nobody",
    async run(_stage, random) {
      for (let nth = 0; nth < 500; nth++) {
        const text = Array.from({ length: 40 }, () => String.fromCodePoint(random.below(0x2fff))).join("");
        for (const line of [inline(text), cleanLine(text)]) assert.doesNotMatch(line, /[\n\r\u2028\u2029]/);
        assert.doesNotMatch(inline(text), /<\w/);
      }
    },
  },
];
