import { canonicalJson } from "../../releases/content-hash.ts";
import { isMove } from "../evidence/evidence-entry.ts";
import type { Act, EvidenceEntry } from "../evidence/evidence-entry.ts";
import { digestOf } from "./reviewed-change.ts";
import type { ApprovalStatement } from "./statement.ts";
import type { ReviewedScope } from "./reviewed-change.ts";

/** A change that was approved, has begun and is not finished. */
export interface BegunChange {
  readonly digest: string;
  readonly scope: ReviewedScope;
}

/**
 * The approved change of which this one is the rest: the last act here was the same one, to the same pins, and did not end well (a
 * deadline, a fault, a killed update); the program is the same commit; and every resource that would change now was to change
 * then. What the evidence says was reviewed counts only when its digest is that of it, so that an edited entry widens nothing.
 * @returns undefined: it is another change, and needs approvals of its own. Pure
 */
export function continuedChange(
  entries: readonly EvidenceEntry[],
  act: Act,
  now: ReviewedScope,
): BegunChange | undefined {
  const last = entries.findLast((entry) => isMove(entry.act));
  if (last === undefined || last.act !== act || last.outcome === "go") return undefined;
  const { digest, reviewed: scope } = last;
  if (digest === null || scope == null || digestOf(scope) !== digest) return undefined;
  const isSameWish = [
    [scope.to, now.to],
    [scope.finalize, now.finalize],
    [scope.commit, now.commit],
    [scope.gates, now.gates],
  ].every(([then, wish]) => canonicalJson(then) === canonicalJson(wish));
  return isSameWish && now.resources.every((resource) => isCovered(resource, scope)) ? { digest, scope } : undefined;
}

/** The scope and digest that approvals were given for: of the change that was begun when they are its, else of this one. */
export function approvedChange(
  approvals: readonly ApprovalStatement[],
  continued: BegunChange | undefined,
  now: BegunChange,
): BegunChange {
  return continued !== undefined && approvals.some(({ digest }) => digest === continued.digest) ? continued : now;
}

/** Was exactly this to happen? What was to be created, and is there by now, may be brought to its end. */
function isCovered({ urn, op, diffs }: ReviewedScope["resources"][number], { resources }: ReviewedScope): boolean {
  return resources.some((then) => {
    if (then.urn !== urn) return false;
    if (then.op === "create" && op === "update") return true;
    return then.op === op && diffs.every((path) => then.diffs.includes(path));
  });
}
