import assert from "node:assert/strict";
import fc from "fast-check";
import { getRelease } from "../../releases/catalog.ts";
import { shortHash } from "../../releases/content-hash.ts";
import type { MirrorState } from "../../releases/mirror-state.ts";
import type { Release } from "../../releases/release.ts";
import { rollback, rollbackBudgetMinutes } from "../../releases/rules.ts";
import { chainOf, mirrorStates } from "./synthetic-catalog.ts";

const [r1, r2, r3] = ["r1", "r2", "r3"].map((id) => getRelease(id)) as [Release, Release, Release];
const dockerOnly: Release = { ...r1, runtimes: ["docker"] };

function at(position: MirrorState["position"], more: Partial<MirrorState> = {}): MirrorState {
  return {
    mirror: "prompt-encryption",
    position,
    tenants: 4,
    rows: 60_000,
    dirty: 0,
    rateRowsPerSecond: 1000,
    ...more,
  };
}

describe("rollback", () => {
  it("is instant from r2 to r1 while the mirror is switched, and says until when", () => {
    const verdict = rollback(r2, r1, [at("switched", { dirty: 2500 })]);
    assert.deepEqual(verdict, {
      outcome: "go",
      reasons: [
        "prompt-encryption: instant for 4 tenants to r1 (2500 changed rows to drain, about 3 s, then one short transaction each), until finalize retires the mirror",
      ],
      instantTenants: 4,
      rebuildTenants: 0,
      dataSeconds: 2.5,
    });
  });

  it("is a rebuild of so many minutes once the mirror is retired", () => {
    const verdict = rollback(r2, r1, [at("retired")]);
    assert.equal(verdict.outcome, "go");
    assert.equal(verdict.rebuildTenants, 4);
    assert.equal(verdict.dataSeconds, 60);
    assert.equal(
      verdict.reasons[0],
      "prompt-encryption is retired for 4 tenants: the source of 60000 rows is rebuilt from the sink and verified first, about 1 min; r2 goes on running meanwhile",
    );
  });

  it("asks a human when the rebuild breaks the promise or was never measured", () => {
    const long = rollback(r2, r1, [at("retired", { rows: 1000 * 60 * (rollbackBudgetMinutes + 1) })]);
    assert.equal(long.outcome, "needs-human");
    assert.match(
      long.reasons[0]!,
      /about 16 min, more than the promised 15: decide whether to wait, or the way is forward: correct r2 under a new id such as r2b/,
    );
    const unknown = rollback(r2, r1, [at("retired", { rateRowsPerSecond: undefined })]);
    assert.equal(unknown.outcome, "needs-human");
    assert.equal(unknown.dataSeconds, undefined);
    assert.match(unknown.reasons[0]!, /no rate was measured/);
  });

  it("moves no data for tenants that never left the source", () => {
    const verdict = rollback(r2, r1, [at("off", { tenants: 1 }), at("mirroring")]);
    assert.equal(verdict.outcome, "go");
    assert.deepEqual(verdict.reasons, [
      "prompt-encryption is off for 1 tenant: what r1 reads is the source, no data moves",
      "prompt-encryption is mirroring for 4 tenants: what r1 reads is the source, no data moves",
    ]);
  });

  it("is possible from every position a tenant can reach under r2", () => {
    const reachable = fc.array(
      fc.record({
        mirror: fc.constant("prompt-encryption"),
        position: fc.constantFrom("off" as const, "mirroring" as const, "switched" as const),
        tenants: fc.nat(1000),
        rows: fc.nat(1e9),
        dirty: fc.nat(1e6),
        rateRowsPerSecond: fc.option(fc.integer({ min: 1, max: 1e6 }), { nil: undefined }),
      }),
    );
    fc.assert(fc.property(reachable, (positions) => assert.equal(rollback(r2, r1, positions).outcome, "go")));
    fc.assert(
      fc.property(mirrorStates(["prompt-encryption"]), (positions) => {
        const known = positions.filter((state) => state.mirror === "prompt-encryption");
        assert.notEqual(rollback(r2, r1, known).outcome, "no-go");
      }),
    );
  });

  it("refuses two releases at once and prints the updates", () => {
    const verdict = rollback(r3, r1, []);
    assert.deepEqual(verdict.reasons, [
      "r3 goes back to r2 only, one release at a time; 2 updates: r3 -> r2, r2 -> r1",
    ]);
    assert.equal(verdict.outcome, "no-go");
  });

  const refusals: readonly [string, () => { outcome: string; reasons: readonly string[] }, RegExp][] = [
    ["the release that runs", () => rollback(r2, r2, []), /^r2 is what runs/],
    [
      "a newer release",
      () => rollback(r1, r2, []),
      /^r2 is newer than r1: going there is a promotion, coordinator promote r2/,
    ],
    ["a release that is not in the catalog", () => rollback(r2, { ...r1, id: "r9" }, []), /^r9 is not in the catalog/],
    [
      "a rescinded release",
      () => rollback(r2, r1, [], { rescinded: [shortHash(r1)] }),
      /^r1@[0-9a-f]{12} is rescinded/,
    ],
    [
      "a runtime the older release does not know",
      () => rollback(r2, dockerOnly, [], { runtime: "kubernetes" }, [dockerOnly, r2]),
      /^r1 runs on docker, and this environment on kubernetes: go forward/,
    ],
    [
      "a way back to a release whose own mirror is off",
      () => rollback(r3, r2, [at("off")]),
      /^r2 reads the sink of prompt-encryption, but it is off for 4 tenants: finish the promotion to r2/,
    ],
    [
      "a mirror that a newer release moved",
      () => rollback(r2, r1, [at("switched", { mirror: "vector-store" })]),
      /^mirror vector-store of 4 tenants is switched, which r2 cannot have done: a newer release runs there/,
    ],
    [
      "a schema that the older release cannot live with",
      () => {
        const strict: Release = { ...r2, schema: { ...r2.schema, oldestOn: { expand: "r2", contract: "r2" } } };
        return rollback(strict, r1, [], {}, [r1, strict]);
      },
      /^schema 0002 of r2 runs nothing older than r2, so r1 cannot: the way is forward: correct r2 under a new id such as r2b/,
    ],
    [
      "a retired mirror that cannot be rebuilt",
      () => {
        const oneWay: Release = { ...r2, data: r2.data.map((move) => ({ ...move, isRebuildable: false })) };
        return rollback(oneWay, r1, [at("retired")], {}, [r1, oneWay]);
      },
      /^prompt-encryption is retired for 4 tenants and its source cannot be rebuilt for r1: the way is forward/,
    ],
  ];
  for (const [what, ask, reason] of refusals) {
    it(`refuses ${what}`, () => {
      const verdict = ask();
      assert.equal(verdict.outcome, "no-go");
      assert.match(verdict.reasons[0]!, reason);
    });
  }

  it("asks a human when a schema without a mirror may have been contracted", () => {
    const bare: Release = { ...r2, data: [] };
    const verdict = rollback(bare, r1, [], {}, [r1, bare]);
    assert.equal(verdict.outcome, "needs-human");
    assert.match(
      verdict.reasons[0]!,
      /^r1 cannot run on schema 0003, and no mirror of r2 tells whether it was reached/,
    );
  });

  it("never allows to skip a release, and never throws", () => {
    const releases = chainOf(6);
    fc.assert(
      fc.property(
        fc.nat(5),
        fc.nat(5),
        mirrorStates(["mirror-1-1", "mirror-2-1", "mirror-3-1", "mirror-6-1"]),
        (from, to, positions) => {
          const { outcome, reasons } = rollback(releases[from]!, releases[to]!, positions, {}, releases);
          if (from - to !== 1) assert.equal(outcome, "no-go");
          if (outcome !== "go") assert.ok(reasons.length > 0 && reasons.every((reason) => reason.length > 0));
        },
      ),
    );
  });

  it("counts each tenant once, as instant or as rebuilt", () => {
    fc.assert(
      fc.property(mirrorStates(["prompt-encryption"]), (positions) => {
        const verdict = rollback(r2, r1, positions);
        const own = positions.filter((state) => state.mirror === "prompt-encryption");
        const count = (position: string) =>
          own.filter((state) => state.position === position).reduce((sum, state) => sum + state.tenants, 0);
        assert.equal(verdict.instantTenants, count("switched"));
        assert.equal(verdict.rebuildTenants, count("retired"));
      }),
    );
  });
});
