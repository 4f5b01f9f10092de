import { authorityOf, type MirrorState, type Position, type Side } from "../ledger/position.ts";
import { allMirrors, findMirror, getMirror } from "../mirrors.ts";
import type { MirrorDefinition } from "./definition.ts";
import type { TenantJob } from "./job.ts";

/** A mirror of this tenant with where it stands and where the pinned release wants it. */
export interface MirrorGoal {
  readonly definition: MirrorDefinition;
  readonly position: Position;
  readonly authority: Side;
  /** Side that the pinned release reads and writes. */
  readonly goal: Side;
  readonly isUnderWay: boolean;
}

/**
 * The mirrors that concern a job: those the pinned release names and those the ledger knows. Direction follows from
 * release and ledger, it is never an input.
 */
export function mirrorGoals(
  job: Pick<TenantJob, "release" | "definitions">,
  ledger: ReadonlyMap<string, Pick<MirrorState, "position" | "phase">>,
): MirrorGoal[] {
  const names = new Set([...job.release.sinkMirrors, ...ledger.keys()]);
  return [...names].sort().map((name) => {
    const state = ledger.get(name);
    const position = state?.position ?? "off";
    return {
      definition: definitionOf(job, name),
      position,
      authority: authorityOf(position),
      goal: job.release.sinkMirrors.includes(name) ? "sink" : "source",
      isUnderWay: state !== undefined && state.phase !== null,
    };
  });
}

/** What `prepare` has to do: build the other side, bring it up to date, or nothing. */
export function preparation(goal: MirrorGoal): "build" | "follow" | "nothing" {
  if (goal.authority === goal.goal) return "nothing";
  return goal.position === "off" || goal.position === "retired" ? "build" : "follow";
}

/** What `finalize` has to do with a mirror whose authority is where the release wants it. */
export function ending(goal: MirrorGoal): "retire" | "remove" | "nothing" {
  if (goal.authority !== goal.goal) return "nothing";
  if (goal.position === "switched" || (goal.position === "retired" && goal.isUnderWay)) return "retire";
  if (goal.position === "mirroring" || (goal.position === "off" && goal.isUnderWay)) return "remove";
  return "nothing";
}

/** Every mirror there is: also of one that a tenant has never begun, services must not use the inactive side. */
export function allDefinitions(job: Pick<TenantJob, "definitions">): MirrorDefinition[] {
  const own = job.definitions ?? [];
  return [...own, ...allMirrors().filter((mirror) => !own.some(({ name }) => name === mirror.name))];
}

/** @throws {Error} the name is neither in the job nor built in */
export function definitionOf(job: Pick<TenantJob, "definitions">, name: string): MirrorDefinition {
  return job.definitions?.find((definition) => definition.name === name) ?? findMirror(name) ?? getMirror(name);
}
