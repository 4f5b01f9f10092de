import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { parse } from "yaml";
import { getRelease } from "../../releases/catalog.ts";
import { shortHash } from "../../releases/content-hash.ts";
import { faultsOfEnvironment, parseEnvironment } from "../../releases/environment.ts";
import { FaultReport } from "../../releases/fault.ts";
import { pinOf } from "../../releases/pin.ts";
import { exampleEnvironment, withValue } from "./example-environment.ts";

const r1Pin = pinOf(getRelease("r1"));
const r2Pin = pinOf(getRelease("r2"));

/** Edits that each bring exactly one fault, whatever the others do. */
const singleFaults: readonly { path: readonly PropertyKey[]; value: unknown; at?: string }[] = [
  { path: ["name"], value: "Dev!" },
  { path: ["regions", 0, "name"], value: "EU west" },
  { path: ["regions", 0, "postgres", "url"], value: "postgres://rc:hunter2@db/postgres" },
  { path: ["regions", 0, "vault", "address"], value: 8200 },
  { path: ["docker", "basePort"], value: 20000 },
  { path: ["images"], value: undefined },
  { path: ["gateway", "uri"], value: "env:X" },
  { path: ["flags"], value: [] },
  { path: ["waves", 0, "selector", "ids"], value: ["acme"], at: "waves.0.selector" },
  { path: ["pins", "canary", "now"], value: "r2@000000000000" },
  { path: ["pins", "general", "back"], value: "r1" },
  { path: ["finalize", "canary", 0], value: "prompt-encription" },
  { path: ["finalize", "late"], value: ["prompt-encryption"] },
  { path: ["tenants", 0, "id"], value: "Acme Inc" },
  { path: ["tenants", 1, "region"], value: "eu" },
  { path: ["windows", 0], value: "mon-thu 16:00-09:00 Europe/Berlin" },
  { path: ["approvals", "promotion", "minimum"], value: -1 },
  { path: ["approvals", "finalize", "minimum"], value: 1.5 },
  { path: ["failureBudget", "maxFailedPercent"], value: 51 },
  { path: ["backup", "keepDays"], value: 0 },
  { path: ["planned", "r3"], value: "2027-02-30" },
  { path: ["leaving"], value: ["milvus"], at: "leaving.0" },
  { path: ["registry"], value: { url: "https://u:hunter2@registry.example" }, at: "registry.url" },
  { path: ["naem"], value: "dev" },
];

function onlyFault(environment: unknown) {
  const faults = faultsOfEnvironment(environment);
  assert.equal(faults.length, 1, JSON.stringify(faults, null, 2));
  return faults[0]!;
}

describe("environment", () => {
  it("parses a sound stack file and fills in what may be left out", () => {
    const environment = parseEnvironment(exampleEnvironment());
    assert.deepEqual(environment.tenants[1], { id: "borealis", tags: [] });
    const short = parseEnvironment(
      Object.fromEntries(
        Object.entries(exampleEnvironment()).filter(
          ([key]) =>
            !["finalize", "tenants", "windows", "approvals", "failureBudget", "backup", "planned"].includes(key),
        ),
      ),
    );
    assert.deepEqual(short.finalize, {});
    assert.deepEqual(short.tenants, []);
    assert.deepEqual(short.approvals.promotion, { minimum: 0, roles: [] });
    assert.equal(short.failureBudget.maxFailedPercent, 0);
  });

  for (const name of ["staging", "prod"]) {
    it(`accepts Pulumi.${name}.yaml as it stands in the repository`, () => {
      const file = new URL(`../../Pulumi.${name}.yaml`, import.meta.url);
      const { config } = parse(readFileSync(file, "utf8")) as { config: Record<string, unknown> };
      assert.equal(parseEnvironment(config["release-coordinator:environment"]).name, name);
    });
  }

  it("reports k faults for k faulty places, each at its path", () => {
    fc.assert(
      fc.property(fc.subarray([...singleFaults], { minLength: 1 }), (edits) => {
        const faulty = edits.reduce<unknown>(
          (document, { path, value }) => withValue(document, path, value),
          exampleEnvironment(),
        );
        const paths = faultsOfEnvironment(faulty).map((fault) => fault.path);
        assert.deepEqual([...paths].sort(), edits.map(({ path, at }) => at ?? path.join(".")).sort());
      }),
      { numRuns: 60 },
    );
  });

  it("throws one report that shows path, value seen, what is allowed and the mend of every fault", () => {
    const faulty = withValue(withValue(exampleEnvironment(), ["runtime"], "podman"), ["tenants", 1, "id"], "acme");
    assert.throws(
      () => parseEnvironment(faulty),
      (error) => {
        assert.ok(error instanceof FaultReport);
        assert.equal(error.faults.length, 2);
        assert.equal(
          error.message,
          [
            "Pulumi.dev.yaml, release-coordinator:environment has 2 faults:",
            "  1. runtime",
            '     seen:    "podman"',
            "     allowed: one of docker, kubernetes",
            "     mend:    correct runtime in Pulumi.dev.yaml",
            "  2. tenants.1.id",
            '     seen:    "acme"',
            "     allowed: one that no other has; tenants.0.id is the same",
            "     mend:    correct tenants.1.id in Pulumi.dev.yaml",
          ].join("\n"),
        );
        return true;
      },
    );
  });

  it("never throws anything but a report, whatever the stack file holds", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc
            .constantFrom(...Object.keys(exampleEnvironment()))
            .chain((key) => fc.anything().map((value) => withValue(exampleEnvironment(), [key], value))),
        ),
        (raw) => {
          try {
            parseEnvironment(raw);
          } catch (error) {
            assert.ok(error instanceof FaultReport, String(error));
            assert.ok(error.faults.length > 0);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("does not repeat a secret that was pasted where a reference belongs", () => {
    const edits: readonly [readonly PropertyKey[], unknown][] = [
      [["regions", 0, "postgres", "url"], "postgres://rc:hunter2@db/postgres"],
      [["regions", 0, "vault", "token"], "hunter2"],
      [["regions", 0, "vault", "tokn"], "hunter2"],
      [["regions", 0, "postgres"], "postgres://rc:hunter2@db/postgres"],
      [["gateway", "url"], "https://rc:hunter2@gateway"],
    ];
    for (const [path, value] of edits) {
      const faults = faultsOfEnvironment(withValue(exampleEnvironment(), path, value));
      assert.ok(faults.length > 0);
      assert.ok(!JSON.stringify(faults).includes("hunter2"), JSON.stringify(faults));
    }
  });

  it("offers the right spelling of a misspelt key", () => {
    const fault = onlyFault(withValue(exampleEnvironment(), ["windws"], []));
    assert.equal(fault.path, "windws");
    assert.equal(fault.mend, "write windows instead of windws in Pulumi.dev.yaml");
  });

  it("names both hashes when a pinned release was edited", () => {
    const fault = onlyFault(withValue(exampleEnvironment(), ["pins", "canary", "now"], "r2@4f1c9e2a0b11"));
    const hash = shortHash(getRelease("r2"));
    assert.equal(fault.allowed, `${r2Pin}: releases/r2.ts has the content hash ${hash}, not 4f1c9e2a0b11`);
    assert.equal(
      fault.mend,
      `pin ${r2Pin} in Pulumi.dev.yaml, or check out the commit whose releases/r2.ts has 4f1c9e2a0b11`,
    );
  });

  const refusals: readonly [string, readonly PropertyKey[], unknown, string, RegExp][] = [
    [
      "a release that is not in the catalog",
      ["pins", "canary", "now"],
      "r9@4f1c9e2a0b11",
      "pins.canary.now",
      /a release of the catalog: r1@/,
    ],
    ["a wave without a pin", ["pins", "general"], undefined, "pins.general", /now and back of every wave/],
    [
      "a pin without a wave",
      ["pins", "vip"],
      { now: r2Pin, back: "none" },
      "pins.vip",
      /a wave of this file: canary, general/,
    ],
    ["two waves of one name", ["waves", 0, "name"], "general", "waves.1.name", /waves\.0\.name is the same/],
    [
      "a selector of two kinds",
      ["waves", 0, "selector"],
      { tags: ["x"], percentage: 5 },
      "waves.0.selector",
      /exactly one of ids, tags, percentage, rest/,
    ],
    ["an empty selector", ["waves", 0, "selector"], {}, "waves.0.selector", /exactly one of/],
    [
      "rest before the last wave",
      ["waves", 0, "selector"],
      { rest: true },
      "waves.0.selector",
      /rest in the last wave only/,
    ],
    [
      "a last wave that is not the rest",
      ["waves", 1, "selector"],
      { percentage: 50 },
      "waves",
      /a last wave with the selector rest: true/,
    ],
    ["runtime docker without its block", ["docker"], undefined, "docker", /because runtime is docker/],
    [
      "a present part without an address",
      ["present", "milvus"],
      true,
      "regions.0.milvus",
      /because present\.milvus is true/,
    ],
    [
      "a going back to the same release",
      ["pins", "canary", "back"],
      r2Pin,
      "pins.canary.back",
      /none, or a neighbour of r2: r1@.*, r3@/,
    ],
    [
      "a planned release that nobody knows",
      ["planned", "r7"],
      "2027-07-01",
      "planned.r7",
      /a release of the catalog: r1, r2/,
    ],
    [
      "a plan that goes backwards",
      ["planned", "r3"],
      "2027-02-01",
      "planned.r3",
      /not before r2, planned for 2027-03-01/,
    ],
  ];
  for (const [what, path, value, at, allowed] of refusals) {
    it(`refuses ${what}`, () => {
      const document = what.startsWith("two waves")
        ? withValue(exampleEnvironment(), ["pins", "canary"], undefined)
        : exampleEnvironment();
      const faults = faultsOfEnvironment(withValue(document, path, value));
      const fault = faults.find((candidate) => candidate.path === at);
      assert.ok(fault, JSON.stringify(faults, null, 2));
      assert.match(fault.allowed, allowed);
      assert.ok(fault.mend.length > 0);
    });
  }

  it("takes both ends of a range, and nothing beyond", () => {
    const faultsAt = (percent: number) =>
      faultsOfEnvironment(withValue(exampleEnvironment(), ["failureBudget", "maxFailedPercent"], percent)).length;
    assert.deepEqual([0, 50].map(faultsAt), [0, 0]);
    assert.deepEqual([-0.1, 50.1].map(faultsAt), [1, 1]);
  });

  it("refuses percentages that sum to more than everybody", () => {
    const waves = [
      { name: "canary", selector: { percentage: 60 } },
      { name: "early", selector: { percentage: 50 } },
      { name: "general", selector: { rest: true } },
    ];
    const pins = { now: r2Pin, back: r1Pin };
    const document = { ...exampleEnvironment(), waves, pins: { canary: pins, early: pins, general: pins } };
    assert.match(onlyFault(document).allowed, /sum to at most 100/);
  });

  it("refuses r2 where Vault is not present, and takes r1 there", () => {
    const without = withValue(exampleEnvironment(), ["present", "vault"], false);
    const faults = faultsOfEnvironment(without);
    assert.deepEqual(
      faults.map((fault) => fault.path),
      ["pins.canary.now", "pins.general.now"],
    );
    assert.match(faults[0]!.mend, /set present\.vault to true/);
    const r1Only = { now: r1Pin, back: "none" };
    assert.deepEqual(faultsOfEnvironment({ ...without, pins: { canary: r1Only, general: r1Only } }), []);
  });

  it("takes the newer release as the way back, for that is what a rollback leaves", () => {
    const pins = { now: r1Pin, back: r2Pin };
    assert.deepEqual(faultsOfEnvironment({ ...exampleEnvironment(), pins: { canary: pins, general: pins } }), []);
  });

  it("refuses r3, naming its open blockers, and a leap from r1 to it", () => {
    const pins = { now: pinOf(getRelease("r3")), back: r1Pin };
    const faults = faultsOfEnvironment(withValue(exampleEnvironment(), ["pins", "canary"], pins));
    assert.ok(
      faults.some((fault) => /open blockers; r3 has: The services of r3 have no source yet/.test(fault.allowed)),
    );
    assert.ok(faults.some((fault) => fault.path === "pins.canary.back" && fault.mend === "go one release at a time"));
  });
});
