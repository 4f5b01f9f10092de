import { isMove } from "./evidence/evidence-entry.ts";
import type { EvidenceEntry } from "./evidence/evidence-entry.ts";
import { explainPins } from "./history/pinned-state.ts";
import type { RollbackPlan } from "./rollback-plan.ts";
import type { Step } from "./step-log.ts";
import { duration } from "./way-back.ts";

/** One thing a rollback will do, and how long it takes by what was measured. */
export interface PlannedStep {
  readonly does: string;
  /** null: nobody has measured it. */
  readonly seconds: number | null;
  /** Where the time comes from. */
  readonly from: "measured just now" | "the last update here" | "measured rates" | "not measured" | "a moment";
}

/** What is known of times when a rollback is planned. */
export interface MeasuredTimes {
  /** Steps of this run so far: reading, and the preview of the first step. */
  readonly now: readonly Step[];
  /** Seconds of the last update that ended here; undefined: none is in the evidence. */
  readonly lastUpdate: number | undefined;
}

/** The steps of a rollback with their times, in the order in which they happen. Pure. */
export function plannedSteps(plan: RollbackPlan, { now, lastUpdate }: MeasuredTimes): PlannedStep[] {
  const reading = now.filter(({ name }) => name.startsWith("read ")).reduce((sum, { seconds }) => sum + seconds, 0);
  const preview = now.find(({ name }) => name.startsWith("preview "))?.seconds;
  const update = {
    seconds: lastUpdate ?? null,
    from: lastUpdate === undefined ? "not measured" : "the last update here",
  } as const;
  return [
    { does: "read the history and the registry, judge", seconds: reading, from: "measured just now" },
    ...plan.steps.flatMap((pins, index): PlannedStep[] => [
      {
        does: `preview ${explainPins(pins)}; refuse what is more than fleets, waves and flags`,
        seconds: preview ?? null,
        from: preview === undefined ? "not measured" : "measured just now",
      },
      { does: "hold the release that is left, pin back in the stack file", seconds: 0, from: "a moment" },
      { does: `update to ${explainPins(pins)}: flags, then drain and flip each tenant`, ...update },
      ...(index === 0
        ? [dataStep(plan)]
        : [{ does: "data of that step: judged after the step before", seconds: null, from: "not measured" } as const]),
    ]),
    {
      does: "verify services and tenants, keep the evidence, print the patch for Git",
      seconds: null,
      from: "not measured",
    },
  ];
}

function dataStep({ dataSeconds, waves }: RollbackPlan): PlannedStep {
  const does = `data of ${waves.join(", ")}: drains and rebuilds before the flip`;
  return dataSeconds === undefined
    ? { does, seconds: null, from: "not measured" }
    : { does, seconds: dataSeconds, from: "measured rates" };
}

/** One line a step, and their sum. */
export function explainSteps(steps: readonly PlannedStep[]): string[] {
  const known = steps.flatMap(({ seconds }) => seconds ?? []);
  const isWhole = known.length === steps.length;
  return [
    ...steps.map(
      ({ does, seconds, from }, index) =>
        `  ${index + 1}. ${does}: ${seconds === null ? "not measured" : `${duration(seconds)} (${from})`}`,
    ),
    `  together ${isWhole ? "" : "at least "}${duration(known.reduce((sum, each) => sum + each, 0))}`,
  ];
}

/** Seconds of the newest update that the evidence knows. */
export function lastUpdateSeconds(entries: readonly EvidenceEntry[]): number | undefined {
  return entries.findLast(({ phase, act, seconds }) => phase === "ended" && isMove(act) && seconds !== null)
    ?.seconds as number | undefined;
}
