import assert from "node:assert/strict";
import { findMisplaced, findResidencyFault } from "../../../migrations/registry/residency.ts";

describe("residency", () => {
  const rules = [
    { tag: "eu-only", regions: ["eu", "eu-2"] },
    { tag: "bank", regions: ["eu"] },
  ];
  const tenant = (id: string, region: string, tags: string[] = []) => ({ id, region, tags });
  const reasons = (registries: Parameters<typeof findMisplaced>[0]) =>
    [...findMisplaced(registries, rules).values()].map(({ reason }) => reason);

  it("lets a tenant without rules live everywhere, and one with rules where all of them allow it", () => {
    assert.equal(findResidencyFault(rules, tenant("acme", "us"), "us"), undefined);
    assert.equal(findResidencyFault(rules, tenant("acme", "eu", ["eu-only", "bank"]), "eu"), undefined);
  });

  it("names the tenant, the region and where it may live", () => {
    assert.equal(
      findResidencyFault(rules, tenant("acme", "eu-2", ["eu-only", "bank"]), "eu-2"),
      "tenant acme may not run in region eu-2; allowed: eu (residency of bank)",
    );
    assert.match(
      reasons([
        { region: "eu", tenants: [] },
        { region: "us", tenants: [tenant("acme", "us", ["eu-only"])] },
      ]).join(),
      /tenant acme may not run in region us; allowed: eu or eu-2 \(residency of eu-only\); move it there/,
    );
  });

  it("finds a tenant that two regions serve", () => {
    const found = reasons([
      { region: "eu", tenants: [tenant("acme", "eu")] },
      { region: "us", tenants: [tenant("acme", "us")] },
    ]);
    assert.deepEqual(found, [
      "tenant acme stands in the registries of eu and us; a tenant lives in one region: delete the row that is wrong",
    ]);
  });

  it("finds a tenant that no region's wave would see", () => {
    const found = reasons([
      { region: "eu", tenants: [tenant("acme", "us"), tenant("borealis", "mars")] },
      { region: "us", tenants: [] },
    ]);
    assert.match(found[0] ?? "", /^tenant acme of region us stands only in the registry of eu;/);
    assert.match(
      found[1] ?? "",
      /^tenant borealis lives in region mars, which the stack file does not name; allowed: eu, us/,
    );
  });

  it("takes one registry for two regions as it is", () => {
    const tenants = [tenant("acme", "eu"), tenant("borealis", "us")];
    assert.deepEqual(
      reasons([
        { region: "eu", tenants },
        { region: "us", tenants },
      ]),
      [],
    );
  });
});
