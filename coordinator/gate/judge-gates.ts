import type { Environment } from "../../releases/environment.ts";
import type { Release } from "../../releases/release.ts";
import type { EnvironmentFacts } from "../environment-facts.ts";
import type { EvidenceLog } from "../evidence/evidence-log.ts";
import type { Gate } from "./gate.ts";
import { checklistGates } from "./checklist-gates.ts";
import { failureBudgetGate } from "./failure-budget-gate.ts";
import { holdGate } from "./hold-gate.ts";
import { soakGate, upstreamGate } from "./soak-gates.ts";
import { windowGate } from "./window-gate.ts";

/** A promotion that somebody asks about. */
export interface GateQuestion {
  /** With the pins that run. */
  readonly environment: Environment;
  readonly to: Release;
  /** Waves that would move. */
  readonly moving: readonly string[];
  readonly facts: EnvironmentFacts;
  /** undefined: out of reach on this backend. */
  readonly evidence: EvidenceLog | undefined;
  /** Folder of Pulumi.yaml: what people signed lies there. */
  readonly project: string;
  readonly now: Date;
}

/** The gates that time, people and other environments stand behind; those of rules, blockers and backups are judged with the release. */
export async function judgeGates(question: GateQuestion): Promise<Gate[]> {
  const { environment, to, moving, facts, evidence, project, now } = question;
  return [
    holdGate(facts.holds, to, moving),
    windowGate(environment, now),
    await upstreamGate(environment, to, evidence, now),
    await soakGate(environment, to, moving, evidence, now),
    failureBudgetGate(environment, to, moving, facts),
    ...(await checklistGates(environment, to, "promotion", project)),
  ];
}

/**
 * The gates as people decided: each override names one gate and gives a reason.
 * @throws for a gate that is not there, or that nobody may override
 */
export function withOverrides(
  gates: readonly Gate[],
  overrides: Readonly<Record<string, string>>,
  who: string,
): Gate[] {
  for (const id of Object.keys(overrides)) {
    const known = gates.find((each) => each.id === id);
    const allowed = gates.filter(({ canOverride }) => canOverride).map((each) => each.id);
    if (known?.canOverride === true) continue;
    const what = known === undefined ? "is no gate here" : "is no gate that a person may override";
    throw new Error(`--override ${id}: ${id} ${what}; allowed are ${allowed.join(", ")}`);
  }
  return gates.map((each) => {
    const reason = overrides[each.id];
    return reason === undefined || each.outcome === "go" ? each : { ...each, override: `${who}: ${reason}` };
  });
}
