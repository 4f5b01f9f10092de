import assert from "node:assert/strict";
import { FileHistory } from "../../../coordinator/history/file-history.ts";
import { environmentKey } from "../../../coordinator/history/history.ts";
import { lastPins, pinnedStates } from "../../../coordinator/history/pinned-state.ts";
import type { Pins } from "../../../coordinator/history/pinned-state.ts";
import { defaultTarget, namedTarget } from "../../../coordinator/history/rollback-target.ts";
import type { TargetChoice } from "../../../coordinator/history/rollback-target.ts";
import { MemoryFiles } from "../../coordinator/evidence/evidence-fixture.ts";
import type { SeededRandom } from "../../workload/seeded-random.ts";
import type { DrillCase } from "../drill.ts";

const [r1, r2] = ["r1@111111111111", "r2@222222222222"];
const running: Pins = { general: { now: r2, back: r1 } };

interface Entry {
  readonly pin?: string;
  readonly environment?: string;
  readonly key?: string;
  readonly result?: string;
  readonly kind?: string;
  readonly config?: unknown;
}

/** The text of a history entry, as Pulumi writes it. */
function text({
  pin = r1,
  environment = "prod",
  key = environmentKey,
  result = "succeeded",
  kind = "update",
  config,
}: Entry): string {
  const value = config ?? { name: environment, pins: { general: { now: pin, back: "none" } } };
  return JSON.stringify({
    kind,
    startTime: 1,
    endTime: 2,
    message: "",
    environment: {},
    result,
    config: { [key]: value },
  });
}

interface Past {
  readonly entries: readonly string[];
  readonly verified?: readonly string[];
  readonly rescinded?: readonly string[];
  readonly to?: string;
}

/** A past from which nobody may be sent anywhere, or only where they have really been. */
function past(
  title: string,
  make: (random: SeededRandom) => Past,
  check: (choice: TargetChoice, warnings: readonly string[], pins: Pins) => void,
): DrillCase {
  return {
    title,
    async run(_stage, random) {
      const { entries, verified = [r1, r2], rescinded = [], to } = make(random);
      const files = new MemoryFiles();
      for (const [nth, entry] of entries.entries())
        files.texts.set(`.pulumi/history/release-coordinator/prod/prod-${1000 + nth}.history.json`, entry);
      const reading = await new FileHistory(files, "release-coordinator", "prod").read();
      const states = pinnedStates(reading.entries, "prod");
      const records = {
        verified: new Set(verified),
        rescinded: new Map(rescinded.map((pin) => [pin.slice(3), "it lost rows (ana)"])),
      };
      const choice =
        to === undefined ? defaultTarget(running, states, records) : namedTarget(to, running, states, records);
      check(choice, reading.warnings, lastPins(reading.entries, "prod"));
    },
  };
}

const nowhere = (reason: RegExp) => (choice: TargetChoice) => {
  assert.equal(choice.found, false);
  assert.match(choice.found ? "" : choice.reasons.join("\n"), reason);
};
const cut = (entry: string, random: SeededRandom) => entry.slice(0, random.below(entry.length - 1));
const good = [text({ pin: r1 }), text({ pin: r2 })];

export const historyCases: readonly DrillCase[] = [
  past(
    "a history that is missing",
    () => ({ entries: [] }),
    nowhere(/history holds no verified state before r2@222222222222: nothing older ran here/),
  ),
  past(
    "a history whose oldest entry is cut off: the target is gone, and it is said",
    (random) => ({ entries: [cut(good[0] ?? "", random), good[1] ?? ""] }),
    (choice, warnings) => {
      nowhere(/nothing older ran here/)(choice);
      assert.match(warnings.join(), /prod-1000\.history\.json is left out/);
    },
  ),
  past(
    "a history whose newest entry is cut off: the target stands",
    (random) => ({ entries: [...good, cut(good[1] ?? "", random)] }),
    (choice, warnings) => {
      assert.deepEqual(choice.found && choice.nowByWave, { general: r1 });
      assert.equal(warnings.length, 1);
    },
  ),
  past(
    "a history that holds entries of another project only",
    () => ({ entries: good.map((entry) => entry.replaceAll(environmentKey, "shop:environment")) }),
    nowhere(/nothing older ran here/),
  ),
  past(
    "a history of another environment under this stack's name",
    () => ({ entries: [text({ environment: "staging" }), text({ pin: r2, environment: "staging" })] }),
    nowhere(/nothing older ran here/),
  ),
  past(
    "a history whose environment is a secret",
    () => ({ entries: [text({ config: { secure: "v1:abc" } })] }),
    nowhere(/nothing older ran here/),
  ),
  past(
    "a history whose pins are something else",
    () => ({
      entries: [
        text({ config: { name: "prod", pins: [r1] } }),
        text({ config: { name: "prod", pins: { general: r1 } } }),
      ],
    }),
    nowhere(/nothing older ran here/),
  ),
  past(
    "a history of lists, numbers and nothing",
    () => ({ entries: ["[]", "7", "null", '"up"', "{}"] }),
    (choice, warnings) => {
      nowhere(/nothing older ran here/)(choice);
      assert.equal(warnings.length, 5);
    },
  ),
  past(
    "a history in which the older release only ever failed",
    () => ({ entries: [text({ result: "failed" }), good[1] ?? ""] }),
    nowhere(/nothing older ran here/),
  ),
  past(
    "a history of previews and destroys",
    () => ({ entries: [text({ kind: "preview" }), text({ kind: "destroy" })] }),
    nowhere(/nothing older ran here/),
  ),
  past(
    "a target that was never verified",
    () => ({ entries: good, verified: [r2] }),
    nowhere(/r1@111111111111 was never verified here/),
  ),
  past(
    "a target that was rescinded",
    () => ({ entries: good, rescinded: [r1] }),
    nowhere(/r1@111111111111 is rescinded: it lost rows \(ana\)/),
  ),
  past(
    "a rescinded target that is named all the same",
    () => ({ entries: good, rescinded: [r1], to: "r1" }),
    nowhere(/r1@111111111111 is rescinded/),
  ),
  past(
    "a target that never ran here",
    () => ({ entries: good, to: "r9" }),
    nowhere(/r9 never ran here; allowed: r1@111111111111/),
  ),
  past(
    "a target with the hash of another content",
    () => ({ entries: good, to: "r1@000000000000" }),
    nowhere(/r1@000000000000 never ran here/),
  ),
  past("a target of control characters", () => ({ entries: good, to: "\u001b[2Jr1" }), nowhere(/never ran here/)),
  past(
    "an entry in the future that pins a newer release: a rollback never goes forward",
    () => ({ entries: [...good, text({ pin: "r3@333333333333" })], verified: [r1, r2, "r3@333333333333"] }),
    (choice) => assert.deepEqual(choice.found && choice.nowByWave, { general: r1 }),
  ),
  past(
    "a failed update last: what ran before it is what a digest starts from",
    () => ({ entries: [...good, text({ pin: "r3@333333333333", result: "failed" })] }),
    (_choice, _warnings, pins) => assert.equal(pins["general"]?.now, r2),
  ),
];
