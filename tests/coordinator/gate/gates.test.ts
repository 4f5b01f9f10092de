import assert from "node:assert/strict";
import { emptyFacts } from "../../../coordinator/environment-facts.ts";
import type { EnvironmentFacts } from "../../../coordinator/environment-facts.ts";
import { gate, nextEligible, verdictOfGates } from "../../../coordinator/gate/gate.ts";
import { judgeGates, withOverrides } from "../../../coordinator/gate/judge-gates.ts";
import type { Gate } from "../../../coordinator/gate/gate.ts";
import { getRelease } from "../../../releases/catalog.ts";
import { parseEnvironment } from "../../../releases/environment.ts";
import { pinOf } from "../../../releases/pin.ts";
import { parse } from "yaml";
import { stackText } from "../command-fixture.ts";
import { MemoryFiles, factsOf } from "../evidence/evidence-fixture.ts";

const [from, to] = [getRelease("r1"), getRelease("r2")];
const [r1, r2] = [pinOf(from), pinOf(to)];
const raw = () =>
  (parse(stackText) as { config: Record<string, Record<string, unknown>> }).config["release-coordinator:environment"] ??
  {};
const environment = (change: object = {}) => parseEnvironment({ ...raw(), ...change });
const now = new Date("2027-01-18T10:00:00Z"); // a Monday
const hour = 3_600_000;
const project = import.meta.dirname; // nobody has signed anything here
const tenant = (id: string, pin: string) => ({ id, pin, states: [] }) as never;

async function gatesOf(
  change: object,
  { facts = {}, moving = ["canary", "general"], files = new MemoryFiles() } = {},
): Promise<Record<string, Gate>> {
  const parsed = environment(change);
  const known: EnvironmentFacts = { ...emptyFacts(parsed), ...facts };
  const question = { environment: parsed, to, moving, facts: known, evidence: files?.log("dev"), project, now };
  return Object.fromEntries((await judgeGates(question)).map((each) => [each.id, each]));
}

describe("gates", () => {
  it("are all open where the stack file asks for nothing, and say what was looked at", async () => {
    const gates = await gatesOf({});
    assert.deepEqual(Object.keys(gates), ["hold", "window", "upstream", "soak", "failure-budget"]);
    for (const { outcome, evidence, title } of Object.values(gates)) {
      assert.equal(outcome, "go");
      assert.ok(evidence.length > 5 && title.length > 5);
    }
  });

  it("wait for a window, tell when it opens, and a denied time wins", async () => {
    const shut = await gatesOf({ windows: ["tue 09:00-10:00 UTC"] });
    assert.deepEqual(
      [shut["window"]?.outcome, shut["window"]?.eligibleAt],
      ["needs-human", "2027-01-19T09:00:00.000Z"],
    );
    assert.equal((await gatesOf({ windows: ["mon 09:00-11:00 UTC"] }))["window"]?.outcome, "go");
    const denied = await gatesOf({ windows: ["mon 09:00-11:00 UTC", "deny 2027-01-18 to 2027-01-18 UTC"] });
    assert.equal(denied["window"]?.outcome, "needs-human");
  });

  it("ask the environment before for this very hash, for long enough, and anew after it was left", async () => {
    const upstream = { environment: "staging", soakHours: 24 };
    const files = new MemoryFiles();
    const staging = files.log("staging");
    const ask = async () => (await gatesOf({ upstream }, { files }))["upstream"];
    assert.match((await ask())?.evidence ?? "", /nobody has proven r2@\w+ in staging/);
    await staging.append(
      factsOf({ act: "verification", verified: ["r2@000000000000"] }),
      undefined,
      new Date(now.getTime() - 50 * hour),
    );
    assert.equal((await ask())?.outcome, "no-go", "another hash of r2 proves nothing");
    await staging.append(factsOf({ verified: [r2] }), undefined, new Date(now.getTime() - 10 * hour));
    const soaking = await ask();
    assert.deepEqual([soaking?.outcome, soaking?.eligibleAt], ["needs-human", "2027-01-19T00:00:00.000Z"]);
    assert.equal((await gatesOf({ upstream: { environment: "staging" } }, { files }))["upstream"]?.outcome, "go");
    const left = { act: "rollback", from: { general: { now: r2, back: r1 } }, to: {} } as const;
    await staging.append(factsOf(left), undefined, new Date(now.getTime() - 5 * hour));
    assert.equal((await ask())?.outcome, "no-go", "staging went back from it");
  });

  it("believe no evidence of another environment that was edited, and none that is out of reach", async () => {
    const upstream = { environment: "staging" };
    const files = new MemoryFiles();
    await files.log("staging").append(factsOf({ verified: ["r1@111111111111"] }));
    const [key = ""] = files.keys;
    files.texts.set(key, (files.texts.get(key) ?? "").replace("r1@111111111111", r2));
    assert.match(
      (await gatesOf({ upstream }, { files }))["upstream"]?.evidence ?? "",
      /not whole \(entry 1: it was edited/,
    );
    assert.equal((await gatesOf({ upstream }, { files: undefined }))["upstream"]?.outcome, "no-go");
  });

  it("let the waves before soak, and begin anew when one has left", async () => {
    const waves = [
      { name: "canary", selector: { tags: ["canary"] }, soakHours: 4 },
      { name: "general", selector: { rest: true } },
    ];
    const files = new MemoryFiles();
    const at = (hours: number) => new Date(now.getTime() - hours * hour);
    const pins = (pin: string) => ({ canary: { now: pin, back: "none" }, general: { now: r1, back: "none" } });
    const ask = async (moving: string[]) => (await gatesOf({ waves }, { files, moving }))["soak"];
    assert.equal((await ask(["canary"]))?.outcome, "go", "the first wave waits for nobody");
    assert.match(
      (await ask(["canary", "general"]))?.evidence ?? "",
      /move it alone first: coordinator promote r2 --wave canary/,
    );
    await files.log().append(factsOf({ to: pins(r2) }), undefined, at(5));
    assert.equal((await ask(["general"]))?.outcome, "go");
    await files.log().append(factsOf({ act: "rollback", to: pins(r1) }), undefined, at(4));
    await files.log().append(factsOf({ to: pins(r2) }), undefined, at(1));
    assert.deepEqual(
      [(await ask(["general"]))?.outcome, (await ask(["general"]))?.eligibleAt],
      ["needs-human", "2027-01-18T13:00:00.000Z"],
    );
  });

  it("count a soak and a proof on through holds, backups and keys, which move nobody", async () => {
    const waves = [
      { name: "canary", selector: { tags: ["canary"] }, soakHours: 1 },
      { name: "general", selector: { rest: true } },
    ];
    const files = new MemoryFiles();
    const pins = { canary: { now: r2, back: r1 }, general: { now: r1, back: "none" } };
    await files.log("dev").append(factsOf({ to: pins }), undefined, new Date(now.getTime() - 2 * hour));
    const elsewhere = { canary: { now: r1, back: "none" }, general: { now: r1, back: "none" } };
    for (const act of ["hold", "unhold", "backup", "keys", "maintenance", "rescission"] as const)
      await files.log("dev").append(factsOf({ act, to: elsewhere }), undefined, new Date(now.getTime() - hour));
    assert.equal((await gatesOf({ waves }, { moving: ["general"], files }))["soak"]?.outcome, "go");
  });

  it("stop the next wave when more tenants of the one before have failed than may", async () => {
    const pins = { canary: { now: r2, back: r1 }, general: { now: r1, back: "none" } };
    const waves = new Map([["canary", [tenant("acme", r2), tenant("borealis", r1)]]]);
    const ask = async (maxFailedPercent: number, moving = ["general"]) =>
      (
        await gatesOf(
          { pins, present: { vault: true, milvus: false }, failureBudget: { maxFailedPercent } },
          { facts: { waves }, moving },
        )
      )["failure-budget"];
    assert.match(
      (await ask(49))?.evidence ?? "",
      /wave canary: 1 of 2 tenants \(borealis\) are not on r2@\w+, 50\.0 % where 49 % may fail/,
    );
    assert.equal((await ask(50))?.outcome, "go");
    assert.equal((await ask(0, ["canary"]))?.outcome, "go", "the wave itself may go on");
  });

  it("are decided by the worst, and by a person only where one may, with a reason", () => {
    const shut = gate({
      id: "window",
      title: "t",
      outcome: "needs-human",
      evidence: "shut",
      canOverride: true,
      eligibleAt: "2027-01-19T09:00:00.000Z",
    });
    const rule = gate({ id: "rules", title: "t", outcome: "no-go", evidence: "r1 is in the way" });
    assert.deepEqual(verdictOfGates([shut, rule]).outcome, "no-go");
    assert.equal(nextEligible([shut])?.toISOString(), "2027-01-19T09:00:00.000Z");
    assert.equal(nextEligible([shut, rule]), undefined, "time does not open a rule");
    const [decided] = withOverrides([shut], { window: "incident 12" }, "ana");
    assert.equal(decided?.override, "ana: incident 12");
    assert.deepEqual(verdictOfGates(decided ? [decided] : []), {
      outcome: "go",
      reasons: ["window: shut; overridden: ana: incident 12"],
    });
    assert.throws(
      () => withOverrides([shut, rule], { rules: "because" }, "ana"),
      /rules is no gate that a person may override; allowed are window/,
    );
    assert.throws(() => withOverrides([shut], { widnow: "typo" }, "ana"), /widnow is no gate here/);
  });
});
