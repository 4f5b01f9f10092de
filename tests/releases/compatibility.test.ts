import assert from "node:assert/strict";
import fc from "fast-check";
import { allReleases } from "../../releases/catalog.ts";
import { haveCommonVersion } from "../../releases/compatibility.ts";
import type { ServiceContract } from "../../releases/compatibility.ts";
import { compatibility } from "../../releases/rules.ts";
import { startOrder } from "../../releases/start-order.ts";
import { explainVerdict } from "../../releases/verdict.ts";

function service(name: string, more: Partial<ServiceContract> = {}): ServiceContract {
  return { name, serves: {}, requires: {}, dependsOn: [], ...more };
}

const api = service("api", { serves: { platform: "1.0.0 || 2.0.0" } });

const names = fc.constantFrom("a", "b", "c", "d", "constructor");
const ranges = fc.oneof(fc.constantFrom("1.0.0", "^1.0.0", ">=1 <3", "", "*", "latest", "1.0.0 || 2.0.0"), fc.string());
const anyServices = fc.array(
  fc.record({
    name: names,
    serves: fc.dictionary(names, ranges, { maxKeys: 2 }),
    requires: fc.dictionary(names, ranges, { maxKeys: 2 }),
    dependsOn: fc.array(names, { maxLength: 3 }),
  }),
  { maxLength: 5 },
);

describe("compatibility", () => {
  it("finds every release of the catalog at peace with itself", () => {
    for (const release of allReleases())
      assert.deepEqual(compatibility(release.services), { outcome: "go", reasons: [] });
  });

  const refusals: readonly [string, readonly ServiceContract[], string][] = [
    [
      "an API that nobody serves",
      [api, service("web", { requires: { search: "^1.0.0" } })],
      "web requires API search ^1.0.0, which no service serves: add the service or drop the requirement",
    ],
    [
      "an API served in other versions only",
      [api, service("web", { requires: { platform: "^3.0.0" }, dependsOn: ["api"] })],
      "web requires API platform ^3.0.0, but api serves 1.0.0 || 2.0.0: serve a version in that range or change the requirement",
    ],
    [
      "an API called without waiting for its service",
      [api, service("web", { requires: { platform: "^2.0.0" } })],
      "web requires API platform ^2.0.0 of api without waiting for it: name it in dependsOn",
    ],
    ["a service listed twice", [api, api], "service api is listed more than once: keep one"],
    [
      "a dependency on a stranger",
      [service("web", { dependsOn: ["api"] })],
      "web depends on api, which is not in the release: add api or remove it from dependsOn",
    ],
    [
      "services that wait for each other",
      [service("a", { dependsOn: ["b"] }), service("b", { dependsOn: ["a"] })],
      "a, b wait for each other in a circle: remove one dependsOn among them",
    ],
  ];
  for (const [what, services, reason] of refusals) {
    it(`refuses ${what}`, () => {
      assert.deepEqual(compatibility(services), { outcome: "no-go", reasons: [reason] });
    });
  }

  it("takes a service that waits for another over a third", () => {
    const between = service("between", { dependsOn: ["api"] });
    const web = service("web", { requires: { platform: "^1.0.0" }, dependsOn: ["between"] });
    assert.equal(compatibility([web, between, api]).outcome, "go");
  });

  it("takes a blank or unreadable range for no version at all", () => {
    for (const range of ["", " ", "latest"]) assert.equal(haveCommonVersion(range, "*"), false);
  });

  it("never throws, and gives a reason for every no", () => {
    fc.assert(
      fc.property(anyServices, (services) => {
        const { outcome, reasons } = compatibility(services);
        assert.equal(outcome === "go", reasons.length === 0);
      }),
      { numRuns: 500 },
    );
  });

  it("prints outcome and reasons for people", () => {
    assert.equal(explainVerdict("r2", { outcome: "no-go", reasons: ["one", "two"] }), "r2: no-go\n  - one\n  - two");
  });
});

describe("start order", () => {
  it("brings the gateway up last of those it calls", () => {
    const groups = startOrder(allReleases()[0]!.services).groups;
    assert.deepEqual(groups, [["platform-api"], ["knowledge-rag"], ["agent-orchestrator"], ["kong", "observability"]]);
  });

  it("starts no service before those it depends on, and loses none", () => {
    fc.assert(
      fc.property(anyServices, (services) => {
        const unique = services.filter(
          (one, index) => services.findIndex((other) => other.name === one.name) === index,
        );
        const { groups, stuck } = startOrder(unique);
        assert.deepEqual([...groups.flat(), ...stuck].sort(), unique.map((one) => one.name).sort());
        const place = new Map(groups.flatMap((group, index) => group.map((name) => [name, index] as const)));
        for (const one of unique.filter((candidate) => place.has(candidate.name))) {
          for (const other of one.dependsOn.filter((name) => place.has(name))) {
            assert.ok(place.get(other)! < place.get(one.name)!, `${one.name} starts with or before ${other}`);
          }
        }
      }),
    );
  });
});
