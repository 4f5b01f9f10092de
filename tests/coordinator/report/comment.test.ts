import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { commentLimitBytes, marker, renderComment } from "../../../coordinator/report/comment.ts";
import { parseReports } from "../../../coordinator/report/report-file.ts";
import type { StackReport } from "../../../coordinator/report/stack-report.ts";
import { repositoryFolder } from "../../../local/folders.ts";
import { promotion, quiet, refused } from "./example-reports.ts";
import { nodesOf } from "./markdown-tree.ts";

const bytesOf = (text: string) => Buffer.byteLength(text);
const outside = (comment: string) => comment.replaceAll(/<details>[^]*?<\/details>/g, "");

/** Reports of every size, from nothing to far beyond the limit, with text that nobody has checked. */
const report = fc
  .record({
    environment: fc.stringMatching(/^[a-z][a-z0-9-]{1,20}$/),
    texts: fc.array(fc.string({ unit: "binary", maxLength: 3_000 }), { maxLength: 60 }),
    changes: fc.integer({ min: 0, max: 900 }),
    diffLength: fc.integer({ min: 0, max: 400 }),
    waves: fc.integer({ min: 1, max: 60 }),
  })
  .map(({ environment, texts, changes, diffLength, waves }): StackReport => ({
    ...refused,
    environment,
    blockers: texts,
    remarks: texts,
    releaseNotes: texts,
    unseen: texts.map((text) => ({ what: text, why: text })),
    risks: texts.map((text) => ({ kind: "stateful", text })),
    migrations: Array.from({ length: waves }, () => promotion.migrations).flat(),
    waysBack: Array.from({ length: waves }, () => promotion.waysBack).flat(),
    changes: Array.from({ length: changes }, (_, index) => ({
      op: "update",
      type: "Container",
      name: `service-${index}`,
      properties: [
        {
          path: "envs",
          from: "x".repeat((diffLength * index) % 397),
          to: "y",
          forcesReplacement: false,
          isSecret: false,
        },
      ],
    })),
    counts: { create: 0, update: changes, replace: 0, delete: 0 },
  }));

describe("the comment of a pull request", () => {
  it("says before any fold what stands in the way, what moves, and until when one can go back", () => {
    const comment = renderComment([promotion, refused, quiet]);
    assert.ok(comment.startsWith(`${marker}\n## Release report: **no-go**\n`));
    const read = outside(comment);
    assert.match(read, /### What stands in the way\n\n- \*\*prod\*\*: prod is held at r1@906f11ab36dc since/);
    assert.match(read, /\| `prod` \| may go \| \+1 ~2 ±0 -0 \| secrets, migration \| yes, about 6 s for the data \|/);
    assert.match(read, /copies 318220 rows \(384 MiB\) in 12 tenants, about 64 s, at measured rates; 440 MiB of disk/);
    assert.match(
      read,
      /yes, about 6 s for the data; until this wave is finalized, then a rebuild, about 70 s of the promised 15 min/,
    );
    assert.match(read, /service `platform-api` `1.0.0` → `2.0.0`/);
    assert.match(read, /flag `api-v2` off → on/);
    assert.match(
      read,
      /Approval digest `5f0c2a91b7e4d388` asks for 2 approvals \(release-manager, security\): `coordinator approve /,
    );
    assert.ok(comment.indexOf("service `platform-api`") < comment.indexOf("resources: 1 created"));
  });

  it("has no value of a secret, and says where there is one", () => {
    assert.match(renderComment([promotion]), /password: \[secret\] → \[secret\]/);
  });

  it("is the same for the same reports, in whatever order they come", () => {
    assert.equal(renderComment([promotion, quiet]), renderComment([quiet, promotion]));
  });

  it("is under its limit whatever it is given, begins with its marker and closes what it opens", function () {
    this.timeout(120_000);
    fc.assert(
      fc.property(fc.array(report, { minLength: 1, maxLength: 5 }), (reports) => {
        const comment = renderComment(reports);
        assert.ok(bytesOf(comment) < commentLimitBytes, `${bytesOf(comment)} bytes`);
        assert.ok(comment.startsWith(marker));
        assert.match(comment, /\| environment \| verdict \|/);
        for (const { environment } of reports) assert.ok(comment.includes(`| \`${environment}\` |`), environment);
        const blocks = nodesOf(comment).filter(({ type, value }) => type === "html" && value !== marker);
        const opened = blocks.filter(({ value = "" }) => value.startsWith("<details>")).length;
        const closed = blocks.filter(({ value = "" }) => value === "</details>").length;
        assert.equal(opened, closed);
        assert.equal(blocks.length, opened + closed, "no element comes from the text");
      }),
      { numRuns: 40 },
    );
  });

  it("is under its limit with more environments than it can hold", () => {
    const many = Array.from({ length: 500 }, (_, index) => ({ ...refused, environment: `env-${index}` }));
    const comment = renderComment(many);
    assert.ok(bytesOf(comment) < commentLimitBytes);
    assert.match(comment, /and 400 more \|/);
    assert.match(comment, /environments do not fit in here/);
  });

  it("loses the biggest diffs first, then resources, and says so", () => {
    const change = (name: string, length: number) => ({
      op: "update",
      type: "Container",
      name,
      properties: [{ path: "envs", from: "a".repeat(length), to: "b", forcesReplacement: false, isSecret: false }],
    });
    const changes = [
      change("big", 50_000),
      change("small", 30),
      ...Array.from({ length: 60 }, (_, i) => change(`c${i}`, 200)),
    ];
    const comment = renderComment([{ ...promotion, changes }]);
    assert.match(comment, /~ {2}Container big \(1 properties/);
    assert.match(comment, /~ {2}Container small\n {5}envs: a{30} → b/);
    assert.match(comment, /Cut to fit into a comment/);
    const endless = Array.from({ length: 5_000 }, (_, i) => change(`container-with-a-long-name-${i}`, 10));
    const cut = renderComment([{ ...promotion, changes: endless }]);
    assert.match(cut, /\n4\d\d\d more\./);
    assert.match(cut, /Can I go back/);
  });

  it("is made from the JSON twin just the same", () => {
    const text = JSON.stringify({ outcome: "no-go", stacks: [promotion, refused, quiet] });
    assert.equal(renderComment(parseReports(text, "x.json")), renderComment([promotion, refused, quiet]));
  });

  it("is not made from a file that is no report", () => {
    assert.throws(() => parseReports("{", "x.json"), /x.json is no JSON; write it anew: coordinator report/);
    assert.throws(() => parseReports('{"error": "no Pulumi.yaml"}', "x.json"), /holds no reports \(no Pulumi.yaml\)/);
    const bad = { ...promotion, blockers: [1], counts: { create: "<b>" } };
    assert.throws(
      () => parseReports(JSON.stringify({ stacks: [bad] }), "x.json"),
      /stacks\[0\]\.blockers\[0\] is number, allowed is a string; stacks\[0\]\.counts\.create is string/,
    );
    assert.throws(
      () => parseReports(JSON.stringify({ stacks: [{ ...quiet, format: 2 }] }), "x.json"),
      /format is 2, allowed is 1/,
    );
    assert.throws(
      () => parseReports(JSON.stringify({ stacks: [{ ...quiet, outcome: "x" }] }), "x.json"),
      /is no outcome/,
    );
  });

  for (const [name, reports] of Object.entries({
    "report-promotion": [quiet, promotion],
    "report-refused": [quiet, refused],
  }))
    it(`stands in the documentation as it is made: ${name}`, () => {
      const path = join(repositoryFolder, "docs/examples", `${name}.md`);
      const comment = renderComment(reports);
      if (process.env["UPDATE_EXPECTED"] === "1") writeFileSync(path, comment);
      assert.equal(readFileSync(path, "utf8"), comment, "UPDATE_EXPECTED=1 writes it anew");
    });
});
