import assert from "node:assert/strict";
import { continuedChange } from "../../../coordinator/approval/continued-change.ts";
import { digestOf } from "../../../coordinator/approval/reviewed-change.ts";
import type { ReviewedScope } from "../../../coordinator/approval/reviewed-change.ts";
import type { EvidenceEntry } from "../../../coordinator/evidence/evidence-entry.ts";
import { factsOf, pinsOf, r1, r2 } from "../../coordinator/evidence/evidence-fixture.ts";
import type { DrillCase } from "../drill.ts";

const scope: ReviewedScope = {
  from: pinsOf(r1),
  to: pinsOf(r2, r1),
  finalize: {},
  resources: [{ urn: "urn:cutover", op: "update", diffs: ["now"] }],
  places: [],
  gates: [],
  commit: "c".repeat(40),
};
const strange = { urn: "urn:keeper", op: "delete", diffs: [] };
const unfinished = (reviewed: ReviewedScope, digest = digestOf(scope)) =>
  factsOf({ digest, reviewed, outcome: "needs-human" }) as EvidenceEntry;

/** Somebody wants an old approval to cover more than it was given for. The sound rest is covered beside it. */
function notCovered(title: string, entry: EvidenceEntry, now: ReviewedScope): DrillCase {
  return {
    title,
    async run() {
      assert.equal(continuedChange([entry], "promotion", now), undefined);
      assert.ok(continuedChange([unfinished(scope)], "promotion", scope), "the rest of what was approved goes on");
    },
  };
}

export const continuedCases: readonly DrillCase[] = [
  notCovered(
    "evidence that says more was reviewed than the digest covers",
    unfinished({ ...scope, resources: [...scope.resources, strange] }),
    { ...scope, resources: [strange] },
  ),
  notCovered("an approved change that goes on with another program", unfinished(scope), {
    ...scope,
    commit: "d".repeat(40),
  }),
  notCovered("an approved change that goes on with a resource more", unfinished(scope), {
    ...scope,
    resources: [...scope.resources, strange],
  }),
  notCovered("an approved change that goes on with a mirror to finalize", unfinished(scope), {
    ...scope,
    finalize: { general: ["prompt-encryption"] },
  }),
  notCovered("an approved change that ended well, asked again", { ...unfinished(scope), outcome: "go" }, scope),
];
