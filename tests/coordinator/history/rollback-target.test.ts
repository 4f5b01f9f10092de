import assert from "node:assert/strict";
import { defaultTarget, namedTarget, stepsBack } from "../../../coordinator/history/rollback-target.ts";
import type { HistoryEntry } from "../../../coordinator/history/history.ts";
import { pinnedStates } from "../../../coordinator/history/pinned-state.ts";
import type { Pins } from "../../../coordinator/history/pinned-state.ts";

const r1 = "r1@111111111111";
const r1b = "r1@1b1b1b1b1b1b";
const r2 = "r2@222222222222";
const r3 = "r3@333333333333";

function entry(pins: Record<string, string>, over: Partial<HistoryEntry> = {}, name = "prod"): HistoryEntry {
  const pairs = Object.fromEntries(Object.entries(pins).map(([wave, now]) => [wave, { now, back: "none" }]));
  return {
    kind: "update",
    result: "succeeded",
    startedAt: new Date(0),
    endedAt: new Date(1000),
    message: "",
    gitHead: undefined,
    environment: { name, pins: pairs },
    ...over,
  };
}

function all(pin: string): Pins {
  return { canary: { now: pin, back: "none" }, general: { now: pin, back: "none" } };
}

function records(verified: string[], rescinded: Record<string, string> = {}) {
  return { verified: new Set(verified), rescinded: new Map(Object.entries(rescinded)) };
}

describe("the target of a rollback", () => {
  it("is the last verified state that is not what runs", () => {
    const states = pinnedStates(
      [entry({ canary: r2, general: r2 }), entry({ canary: r2, general: r1 }), entry({ canary: r1, general: r1 })],
      "prod",
    );
    const choice = defaultTarget(all(r2), states, records([r1, r2]));
    assert.deepEqual(choice.found && choice.nowByWave, { canary: r2, general: r1 });
  });

  it("passes over an update that failed and one that was never verified", () => {
    const states = pinnedStates(
      [
        entry({ canary: r2, general: r2 }),
        entry({ canary: r1b, general: r1b }, { result: "failed" }),
        entry({ canary: r1b, general: r1b }),
        entry({ canary: r1, general: r1 }),
      ],
      "prod",
    );
    const choice = defaultTarget(all(r2), states, records([r1, r2]));
    assert.deepEqual(choice.found && choice.nowByWave, { canary: r1, general: r1 });
  });

  it("passes over a rescinded hash, and says so when nothing else is left", () => {
    const states = pinnedStates([entry({ canary: r1, general: r1 })], "prod");
    const choice = defaultTarget(all(r2), states, records([r1], { "111111111111": "leaks tokens (ana)" }));
    assert.equal(choice.found, false);
    assert.match(JSON.stringify(choice), /r1@111111111111 is rescinded: leaks tokens/);
  });

  it("names the way to an unverified state when nothing else is left", () => {
    const states = pinnedStates([entry({ canary: r1, general: r1 })], "prod");
    const choice = defaultTarget(all(r2), states, records([]));
    assert.match(JSON.stringify(choice), /never verified here; --to r1@111111111111/);
  });

  it("never goes forward: after a rollback the abandoned release is no target", () => {
    const states = pinnedStates([entry({ canary: r1, general: r1 }), entry({ canary: r2, general: r2 })], "prod");
    assert.equal(defaultTarget(all(r1), states, records([r1, r2])).found, false);
  });

  it("ignores entries of another project, of another environment, previews and destroys", () => {
    const states = pinnedStates(
      [
        entry({ canary: r1, general: r1 }, {}, "staging"),
        entry({ canary: r1, general: r1 }, { environment: undefined }),
        entry({ canary: r1, general: r1 }, { environment: { name: "prod", pins: { canary: "r1" } } }),
        entry({ canary: r1, general: r1 }, { kind: "destroy" }),
        entry({ canary: r1, general: r1 }, { kind: "preview" }),
      ],
      "prod",
    );
    assert.deepEqual(states, []);
  });

  it("takes a wave that the old state did not know where the others went", () => {
    const states = pinnedStates([entry({ general: r1 })], "prod");
    const choice = defaultTarget(all(r2), states, records([r1]));
    assert.deepEqual(choice.found && choice.nowByWave, { canary: r1, general: r1 });
  });

  it("named by hand may be unverified, but must have run here and must not be rescinded", () => {
    const states = pinnedStates([entry({ canary: r2, general: r2 }), entry({ canary: r1, general: r1 })], "prod");
    const choice = namedTarget("r1", all(r2), states, records([]));
    assert.deepEqual(choice.found && choice.nowByWave, { canary: r1, general: r1 });
    assert.match(JSON.stringify(choice), /never verified/);
    assert.match(JSON.stringify(namedTarget(r1b, all(r2), states, records([]))), /never ran here; allowed: r1@1111/);
    assert.match(
      JSON.stringify(namedTarget("r1", all(r2), states, records([], { "111111111111": "no" }))),
      /rescinded: no/,
    );
    assert.equal(namedTarget("r2", all(r2), states, records([r2])).found, false);
  });

  it("moves only the waves that are ahead of it", () => {
    const running: Pins = { canary: { now: r2, back: r1 }, general: { now: r1, back: "none" } };
    const states = pinnedStates([entry({ canary: r2, general: r1 }), entry({ canary: r1, general: r1 })], "prod");
    const choice = namedTarget("r1", running, states, records([r1]));
    assert.deepEqual(choice.found && choice.nowByWave, { canary: r1, general: r1 });
    assert.deepEqual(choice.found && stepsBack(running, choice.nowByWave, states, () => undefined), [
      { canary: { now: r1, back: r2 }, general: { now: r1, back: "none" } },
    ]);
  });

  it("goes one release at a time", () => {
    const states = pinnedStates([entry({ canary: r3, general: r3 }), entry({ canary: r2, general: r2 })], "prod");
    const steps = stepsBack(all(r3), { canary: r1, general: r1 }, states, () => undefined);
    assert.deepEqual(
      steps.map((pins) => pins["canary"]),
      [
        { now: r2, back: r3 },
        { now: r1, back: r2 },
      ],
    );
    assert.throws(
      () => stepsBack(all(r3), { canary: r1, general: r1 }, [], () => undefined),
      /r2 is needed on the way/,
    );
  });
});
