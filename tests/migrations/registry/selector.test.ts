import assert from "node:assert/strict";
import fc from "fast-check";
import { findWave, membersOf, percentileOf } from "../../../migrations/registry/selector.ts";
import type { Wave } from "../../../migrations/registry/selector.ts";
import { faultOfTenantId, tenantDatabase } from "../../../migrations/registry/tenant-id.ts";

const member = (id: string, tags: string[] = []) => ({ id, tags, isProbe: false, status: "active" as const });
const waves: Wave[] = [
  { name: "canary", selector: { tags: ["canary"] } },
  { name: "named", selector: { ids: ["zeta", "acme"] } },
  { name: "early", selector: { percentage: 10 } },
  { name: "more", selector: { percentage: 30 } },
  { name: "general", selector: { rest: true } },
];
const tenantId = fc.stringMatching(/^[a-z][a-z0-9-]{1,40}$/);
const selector = fc.oneof(
  fc.record({ ids: fc.array(tenantId, { minLength: 1 }) }),
  fc.record({ tags: fc.array(fc.constantFrom("canary", "eu", "big"), { minLength: 1 }) }),
  fc.record({ percentage: fc.integer({ min: 1, max: 20 }) }),
);

describe("selector", () => {
  it("takes the first wave that matches", () => {
    assert.equal(findWave(waves, member("acme", ["canary"]))?.name, "canary");
    assert.equal(findWave(waves, member("acme", ["other"]))?.name, "named");
    assert.equal(findWave(waves.slice(0, 2), member("other")), undefined);
  });

  it("gives each percentage its own share of all tenants", () => {
    const tenants = Array.from({ length: 5000 }, (_, index) => member(`tenant-${index}`));
    const { waves: found } = membersOf(waves, tenants);
    for (const { id } of found.get("early") ?? []) assert.ok(percentileOf(id) < 10);
    for (const { id } of found.get("more") ?? []) assert.ok(percentileOf(id) >= 10 && percentileOf(id) < 40);
    const share = (name: string) => Math.round(((found.get(name)?.length ?? 0) / tenants.length) * 20);
    assert.deepEqual([share("early"), share("more"), share("general")], [2, 6, 12]);
  });

  it("keeps percentiles for ever: a changed hash would move tenants between waves", () => {
    assert.deepEqual(
      ["acme", "globex", "initech"].map((id) => percentileOf(id).toFixed(4)),
      ["50.8472", "35.8423", "30.0233"],
    );
  });

  it("keeps probes and tenants in onboarding out, and lists suspended ones apart in their wave", () => {
    const { waves: found, suspended } = membersOf(waves, [
      { ...member("probe-r1", ["canary"]), isProbe: true },
      { ...member("new", ["canary"]), status: "onboarding" as const },
      { ...member("acme"), status: "suspended" as const },
      member("zeta"),
    ]);
    assert.deepEqual(
      [...found].map(([name, members]) => [name, members.map(({ id }) => id)]).filter(([, ids]) => ids?.length),
      [["named", ["zeta"]]],
    );
    assert.deepEqual(
      suspended.get("named")?.map(({ id }) => id),
      ["acme"],
    );
  });

  it("puts every tenant into exactly one wave or none, and onboarding others moves nobody", () => {
    fc.assert(
      fc.property(
        fc.array(selector, { maxLength: 5 }),
        fc.uniqueArray(tenantId, { maxLength: 30 }),
        fc.array(tenantId),
        (selectors, ids, more) => {
          const list = selectors.map((found, index) => ({ name: `w${index}`, selector: found }));
          const place = (all: string[]) => {
            const { waves: found, unmatched } = membersOf(
              list,
              [...new Set(all)].map((id) => member(id)),
            );
            const pairs = [...found].flatMap(([name, members]) => members.map(({ id }) => [id, name] as const));
            assert.equal(pairs.length + unmatched.length, new Set(all).size);
            return new Map(pairs);
          };
          const before = place(ids);
          const after = place([...ids, ...more]);
          for (const id of ids) assert.equal(after.get(id), before.get(id));
        },
      ),
    );
  });

  it("gives different tenants different databases, and explains an id that is not allowed", () => {
    fc.assert(
      fc.property(tenantId, tenantId, (a, b) => {
        assert.equal(tenantDatabase(a) === tenantDatabase(b), a === b);
        assert.ok(tenantDatabase(a).length <= 63);
      }),
    );
    for (const id of ["", "a", "A-corp", "1a", "a_b", 'a"; DROP', "a".repeat(42), "ä-b"])
      assert.match(faultOfTenantId(id) ?? "", /2 to 41 characters, .*(rename it, e\.g\. to [a-z]|another id)/);
    assert.match(faultOfTenantId("Acme Corp_7") ?? "", /to acme-corp-7$/);
  });
});
