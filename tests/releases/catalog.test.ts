import assert from "node:assert/strict";
import fc from "fast-check";
import { allMirrors, allReleases, checkReleases, findRelease, getRelease, numberOf } from "../../releases/catalog.ts";
import { FaultReport } from "../../releases/fault.ts";
import { releasePath } from "../../releases/release-path.ts";
import { faultsOfRelease, parseRelease } from "../../releases/release.ts";
import type { Release } from "../../releases/release.ts";
import { releaseTarget } from "../../releases/target.ts";
import { withValue } from "./example-environment.ts";
import { chainOf } from "./synthetic-catalog.ts";

const [r1, r2] = [getRelease("r1"), getRelease("r2")];

function faultPaths(releases: readonly Release[]): readonly string[] {
  try {
    checkReleases(releases);
    return [];
  } catch (error) {
    assert.ok(error instanceof FaultReport, String(error));
    return error.faults.map((fault) => fault.path);
  }
}

describe("catalog", () => {
  it("holds r1 to r4 in order", () => {
    assert.deepEqual(
      allReleases().map((release) => [release.id, numberOf(release.id)]),
      [
        ["r1", 1],
        ["r2", 2],
        ["r3", 3],
        ["r4", 4],
      ],
    );
    assert.deepEqual(allMirrors(), ["prompt-encryption", "vector-store"]);
  });

  it("finds a release or says which there are", () => {
    assert.equal(findRelease("r9"), undefined);
    assert.throws(() => getRelease("r9"), {
      message: /^release "r9" is not in the catalog; allowed are r1, r2, r3, r4; add releases\/r9\.ts/,
    });
  });

  it("keeps the five services of r1 and r2 in the order that fixes their ports", () => {
    const order = ["kong", "platform-api", "knowledge-rag", "agent-orchestrator", "observability"];
    for (const release of [r1, r2])
      assert.deepEqual(
        release.services.map((service) => service.name),
        order,
      );
  });

  const mistakes: readonly [string, readonly PropertyKey[], unknown, string][] = [
    ["an id twice", ["id"], "r1", "r1.id"],
    ["a version that does not rise", ["version"], "1.0.0", "r2.version"],
    ["a minimum of regions above the maximum", ["regions", "minimum"], 6, "r2.regions"],
    ["a release that follows a stranger", ["requires", "releases"], ["r7"], "r2.requires.releases"],
    ["a release that follows nothing", ["requires", "releases"], [], "r2.requires.releases"],
    ["a revision before the last", ["schema", "expandTo"], "0000", "r2.schema.expandTo"],
    ["a contraction before the expansion", ["schema", "contractTo"], "0001", "r2.schema.contractTo"],
    ["an unknown oldest release", ["schema", "oldestOn", "expand"], "r9", "r2.schema.oldestOn.expand"],
    [
      "a contraction that runs more than the expansion",
      ["schema", "oldestOn"],
      { expand: "r2", contract: "r1" },
      "r2.schema.oldestOn.contract",
    ],
    ["a container without source", ["services", 1, "source"], null, "r2.services.platform-api.source"],
    ["services that do not fit", ["services", 1, "serves"], { platform: "3.0.0" }, "r2.services"],
    [
      "a checklist item of an unknown gate",
      ["checklist", "testing", 0, "gate"],
      "nowhere",
      "r2.checklist.testing.smoke",
    ],
  ];
  for (const [what, path, value, at] of mistakes) {
    it(`refuses ${what}`, () => {
      assert.ok(
        faultPaths([r1, withValue(r2, path, value)]).includes(at),
        String(faultPaths([r1, withValue(r2, path, value)])),
      );
    });
  }

  it("refuses a mirror that an older release moved", () => {
    const again = { ...getRelease("r3"), data: r2.data };
    assert.deepEqual(faultPaths([r1, r2, again]), ["r3.data"]);
  });

  it("takes a corrected release after the one it corrects", () => {
    const r2b: Release = {
      ...r2,
      id: "r2b",
      version: "2.0.1",
      data: [],
      schema: { expandTo: "0003", contractTo: "0003", oldestOn: { expand: "r1", contract: "r2" } },
      requires: { ...r2.requires, releases: ["r1", "r2"] },
    };
    assert.deepEqual(faultPaths([r1, r2, r2b]), []);
  });

  it("finds the shortest way between releases of a chain", () => {
    const releases = chainOf(6);
    fc.assert(
      fc.property(fc.nat(5), fc.nat(5), (from, to) => {
        const path = releasePath(`r${from + 1}`, `r${to + 1}`, releases);
        assert.equal(path?.length, Math.abs(from - to) + 1);
      }),
    );
    assert.equal(releasePath("r1", "r9"), undefined);
  });
});

describe("release", () => {
  it("reports every fault of a literal at once", () => {
    const edits: readonly { path: readonly PropertyKey[]; value: unknown; at?: string }[] = [
      { path: ["titel"], value: "x" },
      { path: ["version"], value: "v2" },
      { path: ["services", 1, "source"], value: "abc" },
      { path: ["services", 2, "serves", "knowledge"], value: "not a range" },
      { path: ["services", 0, "probes", "intervalSeconds"], value: 0 },
      { path: ["schema", "expandTo"], value: 2 },
      { path: ["data", 0, "to"], value: "source" },
      { path: ["flags", 0, "isOn"], value: "yes" },
      { path: ["gates", 0, "judge"], value: "nobody" },
      { path: ["requires", "releases", 0], value: "R1" },
      { path: ["notes", 0], value: "  " },
      { path: ["milvus"], value: undefined },
    ];
    fc.assert(
      fc.property(fc.subarray([...edits], { minLength: 1 }), (chosen) => {
        const literal = chosen.reduce<unknown>((document, { path, value }) => withValue(document, path, value), r2);
        const paths = faultsOfRelease(literal, "releases/r2.ts").map((fault) => fault.path);
        assert.deepEqual([...paths].sort(), chosen.map(({ path }) => path.join(".")).sort());
      }),
      { numRuns: 50 },
    );
  });

  it("parses without changing anything, for the hash is over what is written", () => {
    for (const release of allReleases()) assert.deepEqual(parseRelease(release, "a test"), release);
  });
});

describe("release target", () => {
  it("gathers the mirrors of a release and of those before it", () => {
    assert.deepEqual(releaseTarget(r1).sinkMirrors, []);
    assert.deepEqual(releaseTarget(r2).sinkMirrors, ["prompt-encryption"]);
    assert.deepEqual(releaseTarget(getRelease("r4")).sinkMirrors, ["prompt-encryption", "vector-store"]);
  });

  it("is plain JSON and names role, revisions and pin", () => {
    const target = releaseTarget(r2);
    assert.deepEqual(JSON.parse(JSON.stringify(target)), target);
    assert.equal(target.role, "platform_r2");
    assert.equal(target.number, 2);
    assert.equal(target.pin, `r2@${target.hash}`);
    assert.deepEqual(target.schema, {
      expandTo: "0002",
      contractTo: "0003",
      oldestOn: { expand: "r1", contract: "r2" },
    });
  });
});
