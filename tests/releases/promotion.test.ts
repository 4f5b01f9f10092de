import assert from "node:assert/strict";
import fc from "fast-check";
import { checkReleases, getRelease } from "../../releases/catalog.ts";
import { shortHash } from "../../releases/content-hash.ts";
import type { MirrorState } from "../../releases/mirror-state.ts";
import type { Release } from "../../releases/release.ts";
import { promotion } from "../../releases/rules.ts";
import type { PromotionFacts } from "../../releases/rules.ts";
import { chainOf, mirrorStates } from "./synthetic-catalog.ts";

const [r1, r2, r3, r4] = ["r1", "r2", "r3", "r4"].map((id) => getRelease(id)) as [Release, Release, Release, Release];

const ready: PromotionFacts = {
  runtime: "docker",
  regions: 1,
  present: { vault: true, milvus: false },
  blockers: { "vault-healthy": true, "prompts-in-database": true },
};

function switched(position: MirrorState["position"], tenants = 3): MirrorState {
  return { mirror: "prompt-encryption", position, tenants, rows: 100, dirty: 0 };
}

function refusal(from: Release | undefined, to: Release, facts: Partial<PromotionFacts>, pattern: RegExp): void {
  const verdict = promotion(from, to, { ...ready, ...facts });
  assert.equal(verdict.outcome, "no-go");
  assert.ok(
    verdict.reasons.some((reason) => pattern.test(reason)),
    verdict.reasons.join("\n"),
  );
}

describe("promotion", () => {
  it("goes from r1 to r2 when Vault is healthy and every prompt is in the database", () => {
    assert.deepEqual(promotion(r1, r2, ready), { outcome: "go", reasons: [] });
  });

  it("takes any release that is ready into an empty environment", () => {
    assert.equal(
      promotion(undefined, r1, { ...ready, blockers: {}, present: { vault: false, milvus: false } }).outcome,
      "go",
    );
    assert.equal(promotion(undefined, r2, ready).outcome, "go");
  });

  it("refuses r2 while a blocker stands, with its mend", () => {
    refusal(
      r1,
      r2,
      { blockers: { "vault-healthy": false, "prompts-in-database": true } },
      /^blocker vault-healthy stands in the way of r2: not "Vault is unsealed.*; unseal Vault/,
    );
  });

  it("asks a human when nobody looked at a blocker", () => {
    const verdict = promotion(r1, r2, { ...ready, blockers: { "vault-healthy": true } });
    assert.equal(verdict.outcome, "needs-human");
    assert.match(verdict.reasons[0]!, /^blocker prompts-in-database of r2 was not looked at: .*coordinator check r2/);
  });

  it("takes no blocker for cleared because an object inherits its name", () => {
    const odd: Release = {
      ...r2,
      requires: { ...r2.requires, blockers: [{ id: "constructor", title: "Odd", state: "checked", mend: "m" }] },
    };
    assert.equal(promotion(r1, odd, { ...ready, blockers: {} }, [r1, odd]).outcome, "needs-human");
  });

  it("refuses r2 without Vault in the stack file", () => {
    refusal(r1, r2, { present: { vault: false, milvus: false } }, /^r2 needs vault: .* set present\.vault to true/);
  });

  it("refuses r3 and r4 everywhere, saying what is missing", () => {
    for (const [from, to] of [
      [r2, r3],
      [r3, r4],
    ] as const) {
      const facts: PromotionFacts = {
        runtime: "kubernetes",
        regions: 2,
        present: { vault: true, milvus: true },
        blockers: Object.fromEntries(to.requires.blockers.map((blocker) => [blocker.id, true])),
      };
      const verdict = promotion(from, to, facts);
      assert.equal(verdict.outcome, "no-go");
      assert.match(
        verdict.reasons.join("\n"),
        new RegExp(`${to.id} is not ready to run anywhere: The services of ${to.id} have no source yet; write them`),
      );
    }
  });

  it("refuses a leap from r1 to r3 and prints the steps", () => {
    refusal(r1, r3, {}, /^r3 follows r2, not r1: one release at a time; promote step by step: r1 -> r2, r2 -> r3$/);
  });

  it("calls an older release a rollback, and the same one done", () => {
    refusal(r2, r1, {}, /^r1 is older than r2: going there is a rollback, coordinator rollback/);
    refusal(r2, r2, {}, /^r2 is pinned already/);
  });

  it("refuses a release that is not in the catalog", () => {
    refusal(r1, { ...r2, id: "r9" }, {}, /^r9 is not in the catalog/);
  });

  it("refuses a rescinded release", () => {
    refusal(r1, r2, { rescinded: [shortHash(r2)] }, /^r2@[0-9a-f]{12} is rescinded and never runs again/);
  });

  it("refuses a runtime and a number of regions that the release was not made for", () => {
    refusal(r2, r3, { runtime: "docker" }, /^r3 runs on kubernetes, and this environment on docker/);
    refusal(r1, r2, { regions: 6 }, /^r2 runs in 1 to 5 regions, and this environment has 6/);
  });

  it("waits until every tenant has reached the release before", () => {
    refusal(
      r2,
      r3,
      { positions: [switched("retired"), switched("mirroring", 1)] },
      /^1 tenant still to reach r2 \(prompt-encryption\): finish that promotion first/,
    );
  });

  it("refuses a schema that would drop the way back of a switched mirror unasked", () => {
    refusal(
      r2,
      r3,
      { positions: [switched("switched")] },
      /^prompt-encryption of 3 tenants is switched, not retired, .*\(0004\) drops its source: coordinator finalize first/,
    );
    const retired = promotion(r2, r3, { ...ready, positions: [switched("retired")] });
    assert.ok(!retired.reasons.some((reason) => reason.includes("finalize")));
  });

  it("refuses an API version that disappears unannounced, and asks a human when it is announced", () => {
    const dropping: Release = {
      ...r2,
      services: r2.services.map((service) =>
        service.name === "platform-api" ? { ...service, serves: { platform: "2.0.0" } } : service,
      ),
    };
    const silent = promotion(r1, dropping, ready, [r1, dropping]);
    assert.equal(silent.outcome, "no-go");
    assert.match(silent.reasons[0]!, /^r2 no longer serves API platform 1\.0\.0 of r1 and names no breaking change/);
    const named = {
      ...dropping,
      breakingChanges: [{ api: "platform", removed: "^1.0.0", mend: "clients move to v2" }],
    };
    const announced = promotion(r1, named, ready, [r1, named]);
    assert.equal(announced.outcome, "needs-human");
    assert.match(announced.reasons[0]!, /clients move to v2; confirm that no client uses it/);
  });

  it("refuses when the release before does not serve what the new one requires", () => {
    const demanding: Release = { ...r2, requires: { ...r2.requires, apis: { platform: "^1.5.0" } } };
    const verdict = promotion(r1, demanding, ready, [r1, demanding]);
    assert.match(verdict.reasons.join("\n"), /^r2 requires that r1 serves API platform \^1\.5\.0, which it does not/);
  });

  it("never allows to skip a release, and never throws", () => {
    const facts = fc.record({
      runtime: fc.constantFrom("docker" as const, "kubernetes" as const),
      regions: fc.nat(5),
      present: fc.record({ vault: fc.boolean(), milvus: fc.boolean() }),
      blockers: fc.dictionary(fc.constantFrom("vault-healthy", "prompts-in-database"), fc.boolean()),
      positions: mirrorStates(["mirror-1-1", "mirror-2-1"]),
    });
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 7 }), fc.nat(6), fc.nat(6), facts, (length, one, other, given) => {
        const releases = chainOf(length);
        const [from, to] = [one % length, other % length];
        const { outcome, reasons } = promotion(releases[from], releases[to]!, given, releases);
        if (to - from !== 1) assert.equal(outcome, "no-go");
        if (outcome !== "go") assert.ok(reasons.length > 0 && reasons.every((reason) => reason.length > 0));
      }),
    );
    checkReleases(chainOf(7));
  });
});
