import assert from "node:assert/strict";
import { getRelease } from "../../releases/catalog.ts";
import { parseEnvironment } from "../../releases/environment.ts";
import { FaultReport } from "../../releases/fault.ts";
import { rolloutOf } from "../../releases/rollout.ts";
import { trafficPlanOf } from "../../releases/traffic-plan.ts";
import { trafficFaults } from "../../releases/traffic.ts";
import type { Release } from "../../releases/release.ts";
import { exampleEnvironment, withValue } from "./example-environment.ts";

const [r1, r2] = [getRelease("r1"), getRelease("r2")];
const pathsOf = (release: Release): string[] => trafficFaults(release).map(({ path }) => path);

describe("a release's traffic", () => {
  const mistakes: readonly [string, readonly PropertyKey[], unknown, string][] = [
    ["steps that fall", ["traffic", "steps", 1, "percent"], 5, "r2.traffic.steps.1.percent"],
    ["a last step below 100", ["traffic", "steps", 2, "percent"], 50, "r2.traffic.steps"],
    ["a gate that is none", ["traffic", "steps", 0, "gates"], ["nowhere"], "r2.traffic.steps.0.gates"],
    ["a gate without a query", ["traffic", "steps", 0, "gates"], ["lock-time"], "r2.traffic.steps.0.gates"],
    ["a path of tenants", ["traffic", "paths", 0, "path"], "/tenants/acme", "r2.traffic.paths.0.path"],
    [
      "a service that is not behind the gateway",
      ["traffic", "paths", 0, "service"],
      "observability",
      "r2.traffic.paths.0.service",
    ],
  ];
  for (const [what, path, value, at] of mistakes)
    it(`refuses ${what}, and nothing else of it`, () => {
      assert.deepEqual(pathsOf(withValue(r2, path, value)), [at]);
    });

  it("is sound in r1 and r2", () => {
    assert.deepEqual([...pathsOf(r1), ...pathsOf(r2)], []);
  });

  it("becomes a plan in which each step carries its queries, for the newer of the two releases", () => {
    const plan = trafficPlanOf([r1, r2]);
    assert.deepEqual([plan.older?.id, plan.newer.id], ["r1", "r2"]);
    const [first] = plan.steps;
    assert.deepEqual(
      first?.gates.map(({ id, compare, value, unit }) => [id, compare, value, unit]),
      [
        ["error-rate", "at-most", 1, "percent"],
        ["latency-p99", "at-most", 0.8, "seconds"],
      ],
    );
    for (const { query } of first?.gates ?? []) {
      assert.match(query, /release="r2"/);
      assert.doesNotMatch(query, /\{release\}/);
    }
  });

  it("comes all at once, on the paths of the release before, where a release says nothing of it", () => {
    const { traffic: _none, ...silent } = r2;
    const plan = trafficPlanOf([r1, silent], [r1, silent]);
    assert.deepEqual(plan.steps, [{ percent: 100, soakMinutes: 0, gates: [] }]);
    assert.deepEqual(plan.paths, r1.traffic?.paths);
  });

  it("is the same plan whichever of the two a stack pins: direction is no part of it", () => {
    const pinned = (now: string, back: string) => {
      const raw = exampleEnvironment() as Record<string, unknown> & { pins: Record<string, unknown> };
      const pins = Object.fromEntries(Object.keys(raw.pins).map((wave) => [wave, { now, back }]));
      return rolloutOf(parseEnvironment({ ...raw, pins })).traffic;
    };
    const { r1: one, r2: two } = { r1: trafficPlanOf([r1]).newer.pin, r2: trafficPlanOf([r2]).newer.pin };
    assert.deepEqual(pinned(two, one), pinned(one, two));
  });

  it("is refused in a stack file that names no Prometheus, or a cluster's route without clusters", () => {
    const faults = (change: object): string[] => {
      const { metrics: _metrics, ...raw } = exampleEnvironment() as Record<string, unknown>;
      try {
        parseEnvironment({ ...raw, ...change });
        return [];
      } catch (error) {
        assert.ok(error instanceof FaultReport, String(error));
        return error.faults.map(({ path }) => path);
      }
    };
    const metrics = { url: "env:RC_METRICS_URL" };
    assert.deepEqual(faults({ traffic: { kind: "registry" }, metrics }), []);
    assert.deepEqual(faults({ traffic: { kind: "registry" } }), ["metrics"]);
    assert.deepEqual(faults({ traffic: { kind: "gateway-api", gateway: "main", namespace: "gateway" }, metrics }), [
      "traffic.kind",
    ]);
    assert.deepEqual(faults({ traffic: { kind: "mesh" }, metrics }), ["traffic.kind"]);
  });
});
