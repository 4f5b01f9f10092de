import assert from "node:assert/strict";
import fc from "fast-check";
import { continuedChange } from "../../../coordinator/approval/continued-change.ts";
import { digestOf } from "../../../coordinator/approval/reviewed-change.ts";
import type { ReviewedScope } from "../../../coordinator/approval/reviewed-change.ts";
import type { EvidenceEntry, EvidenceFacts } from "../../../coordinator/evidence/evidence-entry.ts";
import { factsOf, pinsOf, r1, r2 } from "../evidence/evidence-fixture.ts";

const scope: ReviewedScope = {
  from: pinsOf(r1),
  to: pinsOf(r2, r1),
  finalize: {},
  resources: [
    { urn: "urn:cutover", op: "update", diffs: ["back", "now"] },
    { urn: "urn:fleet", op: "create", diffs: [] },
  ],
  places: [],
  gates: [],
  commit: "c".repeat(40),
};
/** What is left when the fleet is there. */
const rest: ReviewedScope = {
  ...scope,
  from: scope.to,
  resources: [{ urn: "urn:cutover", op: "update", diffs: [] }],
  places: ["prompt-encryption mirroring", "prompt-encryption switched"],
};
const begun = (change: Partial<EvidenceFacts> = {}) =>
  factsOf({ digest: digestOf(scope), reviewed: scope, outcome: "needs-human", ...change }) as EvidenceEntry;
const continues = (entries: readonly EvidenceEntry[], now = rest) => continuedChange(entries, "promotion", now);

describe("the rest of an approved change", () => {
  it("is covered after a deadline, a fault and a kill, also when people held something meanwhile", () => {
    for (const change of [{ outcome: "needs-human" }, { outcome: "error" }, { phase: "begun", outcome: null }] as const)
      assert.equal(continues([begun(change)])?.digest, digestOf(scope));
    assert.ok(continues([begun(), factsOf({ act: "hold" }) as EvidenceEntry]));
    assert.ok(continues([begun()], { ...rest, resources: [{ urn: "urn:fleet", op: "update", diffs: ["image"] }] }));
  });

  it("is another change once it ended well, somebody went back, or the wish or the program is another one", () => {
    assert.equal(continues([]), undefined);
    assert.equal(continues([begun({ outcome: "go" })]), undefined);
    assert.equal(continues([begun(), factsOf({ act: "rollback" }) as EvidenceEntry]), undefined);
    assert.equal(continuedChange([begun()], "finalize", rest), undefined);
    for (const other of [
      { to: pinsOf(r2) },
      { commit: "d".repeat(40) },
      { finalize: { general: ["prompt-encryption"] } },
      { gates: [{ id: "x", title: "x", before: "promotion", judge: "human" } as const] },
    ])
      assert.equal(continues([begun()], { ...rest, ...other }), undefined, JSON.stringify(other));
  });

  it("holds nothing that was not to change, or not so", () => {
    for (const resource of [
      { urn: "urn:database", op: "update", diffs: [] },
      { urn: "urn:cutover", op: "replace", diffs: [] },
      { urn: "urn:cutover", op: "delete", diffs: [] },
      { urn: "urn:cutover", op: "update", diffs: ["wave"] },
      { urn: "urn:fleet", op: "delete", diffs: [] },
    ])
      assert.equal(continues([begun()], { ...rest, resources: [resource] }), undefined, JSON.stringify(resource));
  });

  it("is widened by no edit of what the evidence says was reviewed", () => {
    const text = fc.string({ minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(text, fc.constantFrom("create", "update", "delete", "replace"), (urn, op) => {
        const resource = { urn: `urn:${urn}`, op, diffs: [] };
        const wider = { ...scope, resources: [...scope.resources, resource] };
        assert.equal(continues([begun({ reviewed: wider })], { ...rest, resources: [resource] }), undefined);
      }),
    );
  });
});
