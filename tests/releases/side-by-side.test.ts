import assert from "node:assert/strict";
import fc from "fast-check";
import { allReleases, getRelease } from "../../releases/catalog.ts";
import type { Release } from "../../releases/release.ts";
import { sideBySide } from "../../releases/side-by-side.ts";

const [r1, r2] = [getRelease("r1"), getRelease("r2")];
const serving = (from: Release, id: string, platform: string, change: Partial<Release> = {}): Release => ({
  ...from,
  id,
  requires: { ...from.requires, apis: {} },
  breakingChanges: [],
  services: from.services.map((service) =>
    service.name === "platform-api" ? { ...service, serves: { platform } } : service,
  ),
  ...change,
});
const gone = { api: "platform", removed: "^1.0.0", mend: "clients move to v2" };

describe("releases side by side", () => {
  it("name every pair of services with the versions of both sides", () => {
    const { outcome, reasons, pairs } = sideBySide(r2, [r1]);
    assert.deepEqual([outcome, reasons], ["go", []]);
    assert.ok(pairs.includes("platform-api of r1 serves platform 1.0.0, platform-api of r2 serves 1.0.0 || 2.0.0"));
    assert.equal(pairs.length, r1.services.flatMap(({ serves }) => Object.keys(serves)).length);
    assert.deepEqual(sideBySide(r2, [r2]).pairs, []);
  });

  it("refuse a third release whose clients lose an API that nobody said would go", () => {
    const [a, b, c] = [
      serving(r1, "r1", "1.0.0"),
      serving(r1, "r2", "1.0.0 || 2.0.0"),
      serving(r1, "r3", "2.0.0 || 3.0.0"),
    ];
    const catalog = [a, b, c];
    assert.equal(sideBySide(c, [b, a], catalog).outcome, "no-go");
    assert.match(
      sideBySide(c, [a], catalog).reasons.join(),
      /^platform-api of r1 serves API platform 1\.0\.0, platform-api of r3 serves 2\.0\.0 \|\| 3\.0\.0, and no release between them names a breaking change: move the waves off r1 first$/,
    );
    assert.equal(sideBySide(a, [c], catalog).outcome, "no-go", "whichever is asked about");
  });

  it("ask a human where a release on the way has announced it", () => {
    const a = serving(r1, "r1", "1.0.0");
    for (const [second, third] of [
      [[gone], []],
      [[], [gone]],
    ] as const) {
      const b = serving(r1, "r2", "1.0.0 || 2.0.0", { breakingChanges: [...second] });
      const c = serving(r1, "r3", "2.0.0", { breakingChanges: [...third] });
      const { outcome, reasons } = sideBySide(c, [a], [a, b, c]);
      assert.equal(outcome, "needs-human");
      assert.match(reasons.join(), /clients move to v2 \(breaking change of r[23]\); confirm that no client uses it/);
    }
    const early = serving(r1, "r1", "1.0.0", { breakingChanges: [gone] });
    assert.equal(sideBySide(serving(r1, "r2", "2.0.0"), [early], [early, serving(r1, "r2", "2.0.0")]).outcome, "no-go");
  });

  it("refuse a release beside one that does not serve what it asks of its neighbours", () => {
    const a = serving(r1, "r1", "1.0.0");
    const c = serving(r1, "r2", "1.0.0 || 2.0.0", { requires: { ...r1.requires, apis: { platform: "^2.0.0" } } });
    assert.match(
      sideBySide(c, [a], [a, c]).reasons.join(),
      /r2 runs beside releases that serve API platform \^2\.0\.0, platform-api of r1 serves 1\.0\.0: move the waves off r1 first/,
    );
  });

  it("give an answer for any releases of the catalog, the same in any order", () => {
    const release = fc.constantFrom(...allReleases());
    fc.assert(
      fc.property(release, fc.array(release, { maxLength: 4 }), (to, others) => {
        const [one, other] = [sideBySide(to, others), sideBySide(to, [...others].reverse())];
        assert.equal(one.outcome, other.outcome);
        assert.deepEqual([...one.reasons].sort(), [...other.reasons].sort());
        assert.equal(one.outcome === "go", one.reasons.length === 0);
      }),
    );
  });
});
