import { backupRefusals } from "../migrations/backup/before-mutation.ts";
import type { Environment } from "../releases/environment.ts";
import { getPinned } from "../releases/catalog.ts";
import { parsePin, pinOf } from "../releases/pin.ts";
import type { Release } from "../releases/release.ts";
import { promotion } from "../releases/rules.ts";
import { sideBySide } from "../releases/side-by-side.ts";
import type { SideBySide } from "../releases/side-by-side.ts";
import type { Verdict } from "../releases/verdict.ts";
import { lookAtBlockers } from "./blockers.ts";
import type { BlockerFinding } from "./blockers.ts";
import { mirrorStates } from "./environment-facts.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { gate } from "./gate/gate.ts";
import type { Gate } from "./gate/gate.ts";
import { postgresGate } from "./gate/postgres-gate.ts";

/** May these waves be promoted, and what was looked at to say so. */
export interface Judgement {
  /** Waves that would move; those that pin the release already are not in it. */
  readonly moving: readonly string[];
  readonly verdict: Verdict;
  readonly blockers: readonly BlockerFinding[];
  /** The same as gates: the rules, each blocker, backups, releases side by side; and the health of PostgreSQL. */
  readonly gates: readonly Gate[];
}

/** Parts that a release needs and that every region of the environment names: a promotion makes them present. */
export function partsToAdd(environment: Environment, to: Release): ("vault" | "milvus")[] {
  return (["vault", "milvus"] as const).filter(
    (part) =>
      to[part].isNeeded &&
      !environment.present[part] &&
      environment.regions.every((region) => region[part] !== undefined),
  );
}

/** Judges a promotion wave by wave with the pure rules. Reads only. */
export async function judgePromotion(
  environment: Environment,
  to: Release,
  waves: readonly string[],
  facts: EnvironmentFacts,
): Promise<Judgement> {
  const moving = waves.filter((wave) => environment.pins[wave]?.now !== pinOf(to));
  const blockers = moving.length === 0 ? [] : await lookAtBlockers(environment, to, facts);
  const added = Object.fromEntries(partsToAdd(environment, to).map((part) => [part, true]));
  const verdicts = moving.map((wave) =>
    promotion(getPinned(parsePin(environment.pins[wave]?.now ?? "")), to, {
      runtime: environment.runtime,
      regions: environment.regions.length,
      present: { ...environment.present, ...added },
      blockers: Object.fromEntries(blockers.map(({ id, isCleared }) => [id, isCleared])),
      rescinded: [...facts.rescinded.keys()],
      positions: mirrorStates(facts, wave),
    }),
  );
  const beside = moving.length === 0 ? undefined : sideBySide(to, otherFleets(environment, to, moving));
  const unsafe = moving.length === 0 ? [] : await backupRefusals(environment.backup);
  const outcomes = [
    ...verdicts.map((verdict) => verdict.outcome),
    ...unsafe.map(() => "no-go" as const),
    ...(beside === undefined ? [] : [beside.outcome]),
  ];
  const outcome = (["no-go", "needs-human"] as const).find((each) => outcomes.includes(each));
  const found = blockers.map(({ id, isCleared, found }) => `${id}: ${isCleared ? "cleared" : "in the way"} (${found})`);
  const ruled = new Set(verdicts.flatMap((verdict) => verdict.reasons));
  const reasons = [...ruled, ...(beside?.reasons ?? []), ...unsafe, ...found];
  const gates =
    beside === undefined
      ? []
      : [
          ...gatesOf(to, verdicts, blockers, unsafe, environment),
          besideGate(to, beside),
          await postgresGate(environment),
        ];
  return { moving, verdict: { outcome: outcome ?? "go", reasons }, blockers, gates };
}

/** Releases whose fleets would stand beside this one, and that no rule of the promotion itself looks at: those that a moving wave leaves are. */
function otherFleets({ pins }: Environment, to: Release, moving: readonly string[]): Release[] {
  const left = new Set(moving.map((wave) => pins[wave]?.now));
  const kept = Object.entries(pins).flatMap(([wave, { now, back }]) => (moving.includes(wave) ? [] : [now, back]));
  const others = [...new Set(kept)].filter((pin) => pin !== "none" && pin !== pinOf(to) && !left.has(pin));
  return others.map((pin) => getPinned(parsePin(pin)));
}

function besideGate(to: Release, { outcome, reasons, pairs }: SideBySide): Gate {
  const id = "side-by-side";
  const title = "Every service answers what clients of the releases beside it use";
  const canOverride = outcome === "needs-human";
  const quiet = pairs.length === 0 ? `no third release runs beside ${to.id}` : pairs.join("; ");
  return gate({ id, title, outcome, evidence: reasons.join("; ") || quiet, canOverride });
}

function gatesOf(
  to: Release,
  verdicts: readonly Verdict[],
  blockers: readonly BlockerFinding[],
  unsafe: readonly string[],
  { backup }: Environment,
): Gate[] {
  const outcomes = verdicts.map(({ outcome }) => outcome);
  const outcome = (["no-go", "needs-human"] as const).find((each) => outcomes.includes(each)) ?? "go";
  const reasons = [...new Set(verdicts.flatMap((verdict) => verdict.reasons))];
  const safety = backup === undefined ? "the stack file names no backup" : `${backup.kind} as the stack file asks`;
  return [
    gate({
      id: "rules",
      title: "Steps, APIs on both sides, schema, positions and place allow it",
      outcome,
      // What the rules leave to a human, as an announced breaking change, a human decides with a reason.
      canOverride: outcome === "needs-human",
      evidence: reasons.join("; ") || `every rule between what runs and ${to.id} holds`,
    }),
    ...blockers.map(({ id, isCleared, found }) => {
      const { title = id, mend = "" } = to.requires.blockers.find((blocker) => blocker.id === id) ?? {};
      const evidence = isCleared ? found : `${found}; ${mend}`;
      return gate({ id: `blocker:${id}`, title, outcome: isCleared ? "go" : "no-go", evidence });
    }),
    gate({
      id: "backup",
      title: "What is changed first can be restored",
      outcome: unsafe.length === 0 ? "go" : "no-go",
      evidence: unsafe.join("; ") || safety,
    }),
  ];
}
