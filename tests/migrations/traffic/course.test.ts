import assert from "node:assert/strict";
import fc from "fast-check";
import { nextMove, soakEnd } from "../../../migrations/traffic/course.ts";
import type { Progress, TrafficStep } from "../../../migrations/traffic/course.ts";

const rising = fc
  .uniqueArray(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 6 })
  .chain((percents) =>
    fc.tuple(
      ...percents
        .sort((a, b) => a - b)
        .map((percent) => fc.record({ percent: fc.constant(percent), soakMinutes: fc.nat(600) })),
    ),
  );

/** Follows the moves with a clock of its own; a judgement is always `go`. @returns what was done, in order */
function follow(
  steps: readonly TrafficStep[],
  from?: Progress,
  limit = 100,
): { shares: number[]; minutes: number; end: Progress | undefined } {
  let at = from;
  let now = new Date(0);
  const shares: number[] = [];
  for (let turn = 0; turn < limit; turn += 1) {
    const move = nextMove(steps, at, now);
    if (move.kind === "arrived") return { shares, minutes: now.getTime() / 60_000, end: at };
    if (move.kind === "wait") now = move.until;
    else if (move.kind === "judge") at = { percent: steps[move.step]?.percent ?? -1, isProven: true };
    else {
      const step = steps[move.step] as TrafficStep;
      shares.push(step.percent);
      at = { percent: step.percent, isProven: false, waitingUntil: soakEnd(step, now) };
    }
  }
  throw new Error("it never arrives");
}

describe("the course of traffic", () => {
  it("enters every step once, in order, and soaks as long as all of them say, whatever they are", () => {
    fc.assert(
      fc.property(rising, (steps) => {
        const { shares, minutes } = follow(steps);
        assert.deepEqual(
          shares,
          steps.map(({ percent }) => percent),
        );
        assert.equal(
          minutes,
          steps.reduce((sum, { soakMinutes }) => sum + soakMinutes, 0),
        );
      }),
    );
  });

  it("goes on from wherever an update ended, without entering a share again or skipping one", () => {
    fc.assert(
      fc.property(rising, fc.nat(5), fc.boolean(), (steps, cut, isProven) => {
        const step = steps[cut % steps.length] as TrafficStep;
        const { shares } = follow(steps, { percent: step.percent, isProven, waitingUntil: new Date(0) });
        assert.deepEqual(
          shares,
          steps.map(({ percent }) => percent).filter((percent) => percent > step.percent),
        );
      }),
    );
  });

  it("changes nothing before the soak has ended, to the millisecond", () => {
    const steps = [{ percent: 5, soakMinutes: 30 }];
    const until = new Date(1_800_000);
    const at = { percent: 5, isProven: false, waitingUntil: until };
    assert.deepEqual(nextMove(steps, at, new Date(until.getTime() - 1)), { kind: "wait", until });
    assert.deepEqual(nextMove(steps, at, until), { kind: "judge", step: 0 });
  });

  it("leaves what a later phase has reached alone, and a phase without steps", () => {
    assert.deepEqual(nextMove([{ percent: 25, soakMinutes: 1 }], { percent: 100, isProven: false }, new Date()), {
      kind: "arrived",
    });
    assert.deepEqual(nextMove([], undefined, new Date()), { kind: "arrived" });
    assert.deepEqual(nextMove([{ percent: 100, soakMinutes: 0 }], { percent: 25, isProven: true }, new Date()), {
      kind: "enter",
      step: 0,
    });
  });
});
