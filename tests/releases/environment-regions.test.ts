import assert from "node:assert/strict";
import { getRelease } from "../../releases/catalog.ts";
import { faultsOfEnvironment } from "../../releases/environment.ts";
import { pinOf } from "../../releases/pin.ts";
import { exampleEnvironment, withValue } from "./example-environment.ts";

const r2Pin = pinOf(getRelease("r2"));

describe("regions and residency of an environment", () => {
  const refusals: readonly (readonly [string, readonly PropertyKey[], unknown, string, RegExp])[] = [
    [
      "two regions on Docker",
      ["regions", 1],
      { ...exampleEnvironment().regions[0], name: "us" },
      "regions",
      /one region: runtime docker is one host/,
    ],
    [
      "more regions than a release was made for",
      ["regions"],
      Array.from({ length: 6 }, (_, index) => ({ ...exampleEnvironment().regions[0], name: `r-${index}` })),
      "pins.canary.now",
      /a release for 6 region\(s\); r2 runs in 1 to 5/,
    ],
    [
      "a residency in a region that is not there",
      ["residency"],
      [{ tag: "eu-only", regions: ["local", "eu"] }],
      "residency.0.regions.1",
      /a region of this file: local/,
    ],
    [
      "two residencies of one tag",
      ["residency"],
      [
        { tag: "eu-only", regions: ["local"] },
        { tag: "eu-only", regions: ["local"] },
      ],
      "residency.1.tag",
      /one that no other has; residency.0.tag is the same/,
    ],
    [
      "a seed tenant in a region that is not there",
      ["tenants", 0],
      { id: "acme", tags: [], region: "us" },
      "tenants.0.region",
      /a region of this file: local/,
    ],
  ];
  for (const [what, path, value, at, allowed] of refusals) {
    it(`refuses ${what}`, () => {
      const faults = faultsOfEnvironment(withValue(exampleEnvironment(), path, value));
      const fault = faults.find((candidate) => candidate.path === at);
      assert.ok(fault, JSON.stringify(faults, null, 2));
      assert.match(fault.allowed, allowed);
      assert.ok(fault.mend.length > 0);
    });
  }

  it("wants a cluster of every region on Kubernetes", () => {
    const faults = faultsOfEnvironment(withValue(exampleEnvironment(), ["runtime"], "kubernetes"));
    assert.deepEqual(
      faults.map((fault) => fault.path),
      ["regions.0.cluster"],
    );
  });

  it("refuses r3 on Docker", () => {
    const pins = { now: pinOf(getRelease("r3")), back: r2Pin };
    const faults = faultsOfEnvironment(withValue(exampleEnvironment(), ["pins", "canary"], pins));
    assert.ok(faults.some((fault) => /a release for runtime docker; r3 runs on kubernetes/.test(fault.allowed)));
  });
});
