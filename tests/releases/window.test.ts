import assert from "node:assert/strict";
import fc from "fast-check";
import { findWindowIn, isInside, mayChangeAt, nextChangeAt, parseWindow, windowForm } from "../../releases/window.ts";

describe("change window", () => {
  it("reads days, times and time zone", () => {
    assert.deepEqual(parseWindow("mon-thu 09:00-16:30 Europe/Berlin"), {
      kind: "allow",
      days: [0, 1, 2, 3],
      fromMinute: 540,
      toMinute: 990,
      timeZone: "Europe/Berlin",
    });
    assert.deepEqual(parseWindow("sat-mon 00:00-24:00 UTC").days, [5, 6, 0]);
    assert.deepEqual(parseWindow("wed 22:00-23:59 Asia/Tokyo").days, [2]);
  });

  for (const line of [
    "",
    "mon",
    "mon-thu 9-16 UTC",
    "mon 16:00-09:00 UTC",
    "mon 09:00-09:00 UTC",
    "mon 09:00-24:30 UTC",
    "xyz 09:00-10:00 UTC",
    "mon-xyz 09:00-10:00 UTC",
    "mon 09:00-10:00 Mars/Olympus",
    "mon 09:60-10:00 UTC",
    "deny",
    "deny 2027-02-30 to 2027-03-01 UTC",
    "deny 2027-03-02 to 2027-03-01 UTC",
    "allow mon 09:00-10:00 UTC",
  ]) {
    it(`refuses "${line}", saying what a window looks like`, () => {
      assert.equal(findWindowIn(line), undefined);
      assert.throws(() => parseWindow(line), {
        message: `"${line}" is no change window; allowed are ${windowForm}; correct windows in the stack file`,
      });
    });
  }

  it("follows the clock of its time zone, summer time included", () => {
    const window = parseWindow("mon-thu 09:00-16:00 Europe/Berlin");
    assert.equal(isInside(window, new Date("2027-01-18T08:00:00Z")), true); // Monday 09:00, winter
    assert.equal(isInside(window, new Date("2027-01-18T07:59:00Z")), false);
    assert.equal(isInside(window, new Date("2027-07-05T07:00:00Z")), true); // Monday 09:00, summer
    assert.equal(isInside(window, new Date("2027-07-05T14:00:00Z")), false); // 16:00 is outside
    assert.equal(isInside(window, new Date("2027-07-09T10:00:00Z")), false); // Friday
  });

  it("takes the day of its own time zone, not of UTC", () => {
    const window = parseWindow("mon 00:00-02:00 Asia/Tokyo");
    assert.equal(isInside(window, new Date("2027-01-17T15:30:00Z")), true); // Sunday in UTC
  });

  it("is always open when none is named, and open in any of several", () => {
    assert.equal(mayChangeAt([], new Date()), true);
    const windows = ["mon 09:00-10:00 UTC", "tue 09:00-10:00 UTC"];
    assert.equal(mayChangeAt(windows, new Date("2027-01-19T09:30:00Z")), true);
    assert.equal(mayChangeAt(windows, new Date("2027-01-20T09:30:00Z")), false);
  });

  it("denies before anything allows, weekly and for days with a date", () => {
    const windows = [
      "mon-fri 09:00-16:00 Europe/Berlin",
      "deny fri 12:00-24:00 Europe/Berlin",
      "deny 2027-12-20 to 2028-01-02 Europe/Berlin",
    ];
    const at = (time: string) => mayChangeAt(windows, new Date(time));
    assert.equal(at("2027-01-22T10:59:00Z"), true);
    assert.equal(at("2027-01-22T11:00:00Z"), false, "friday noon in Berlin");
    assert.equal(at("2027-12-17T10:00:00Z"), true);
    assert.equal(at("2027-12-20T10:00:00Z"), false, "the first day of the freeze");
    assert.equal(at("2027-12-31T10:00:00Z"), false);
    assert.equal(at("2028-01-03T10:00:00Z"), true, "the day behind it");
    assert.equal(mayChangeAt(["deny sun 00:00-24:00 UTC"], new Date("2027-01-18T10:00:00Z")), true);
    assert.equal(mayChangeAt(["deny sun 00:00-24:00 UTC"], new Date("2027-01-17T10:00:00Z")), false);
  });

  it("says when it opens next, to the minute, over a freeze too, or that it does not", () => {
    const next = (windows: string[], from: string) => nextChangeAt(windows, new Date(from))?.toISOString();
    const hours = "mon-thu 09:00-16:00 Europe/Berlin";
    assert.equal(next([hours], "2027-01-18T10:00:30Z"), "2027-01-18T10:01:00.000Z");
    assert.equal(next([hours], "2027-01-21T15:00:00Z"), "2027-01-25T08:00:00.000Z");
    assert.equal(
      next([hours, "deny 2027-01-25 to 2027-01-26 Europe/Berlin"], "2027-01-21T15:00:00Z"),
      "2027-01-27T08:00:00.000Z",
    );
    assert.equal(next(["mon 09:07-09:09 UTC"], "2027-01-17T00:00:00Z"), "2027-01-18T09:07:00.000Z");
    assert.equal(next(["deny mon-sun 00:00-24:00 UTC"], "2027-01-17T00:00:00Z"), undefined);
  });

  it("is open for exactly its minutes of a week", () => {
    fc.assert(
      fc.property(fc.nat(6), fc.nat(6), fc.nat(1438), fc.nat(1439), (first, last, from, length) => {
        const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        const to = Math.min(1440, from + 1 + length);
        const clock = (minute: number) =>
          `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
        const window = parseWindow(`${days[first]}-${days[last]} ${clock(from)}-${clock(to)} UTC`);
        const monday = Date.parse("2027-01-18T00:00:00Z");
        for (let day = 0; day < 7; day++) {
          const isDay = (day - first + 7) % 7 <= (last - first + 7) % 7;
          for (const [minute, isOpen] of [
            [from, isDay],
            [to - 1, isDay],
            [to, false],
            [from - 1, false],
          ] as const) {
            if (minute < 0 || minute > 1439) continue;
            assert.equal(isInside(window, new Date(monday + (day * 1440 + minute) * 60_000)), isOpen);
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});
