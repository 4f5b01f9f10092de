import assert from "node:assert/strict";
import fc from "fast-check";
import { allFleets } from "../../local/gateway/fleets.ts";
import { renderKong } from "../../local/gateway/kong.ts";
import type { TenantRoute } from "../../local/gateway/tenant-route.ts";
import { kongFormat } from "./kong-format.ts";

const fleets = allFleets(20_000);

const tenantRoutes = fc.uniqueArray(
  fc.record({
    tenant: fc.stringMatching(/^[a-z][a-z0-9-]{1,12}$/),
    release: fc.constantFrom("r1", "r2", "r9", undefined),
    status: fc.constantFrom("active", "suspended", "onboarding"),
  }),
  { selector: (route) => route.tenant, maxLength: 12 },
);

/** Names of the routes whose expression a path meets; the catch-all only when no other does. */
function matches(tenants: readonly TenantRoute[], path: string): string[] {
  const { services, routes } = renderKong({ tenants, fleets });
  const all = [...services.flatMap((service) => service.routes), ...routes];
  const met = all.filter(({ paths }) =>
    paths.some((each) => each.startsWith("~") && new RegExp(`^${each.slice(1)}`).test(path)),
  );
  return met.length > 0 ? met.map((route) => route.name) : ["unknown"];
}

describe("Kong's declarative configuration", () => {
  it("keeps to the documented format for any tenants", () => {
    fc.assert(fc.property(tenantRoutes, (tenants) => void kongFormat.parse(renderKong({ tenants, fleets }))));
  });

  it("is refused by the format when a key is misspelt or a name stands twice", () => {
    const good = renderKong({ tenants: [], fleets });
    assert.equal(kongFormat.safeParse({ ...good, servces: [] }).success, false);
    assert.equal(kongFormat.safeParse({ ...good, services: [...good.services, good.services[0]] }).success, false);
  });

  it("routes every tenant to exactly one service of its release, or refuses it", () => {
    fc.assert(
      fc.property(tenantRoutes, (tenants) => {
        for (const { tenant, release, status } of tenants) {
          const isRouted = status === "active" && (release === "r1" || release === "r2");
          for (const resource of ["prompts", "conversations", "search"]) {
            const wanted = isRouted ? `${tenant}.${resource}` : `${tenant}.refused`;
            assert.deepEqual(matches(tenants, `/tenants/${tenant}/${resource}/x`), [wanted]);
          }
        }
        assert.deepEqual(matches(tenants, "/tenants/0-no-tenant/prompts"), ["unknown"]);
      }),
    );
  });

  it("shares paths without a tenant by weight, a release that the header names before all others, for any share", () => {
    const split = fc.record({
      newer: fc.constantFrom("r2", "r9"),
      older: fc.constantFrom("r1", "r8"),
      percent: fc.integer({ min: 0, max: 100 }),
      paths: fc.constant([
        { path: "/healthz", service: "platform-api" },
        { path: "/nobody", service: "observability" },
      ]),
    });
    fc.assert(
      fc.property(split, tenantRoutes, (split, tenants) => {
        const configuration = renderKong({ tenants, fleets, split });
        kongFormat.parse(configuration);
        const weights = configuration.upstreams.map(({ targets }) =>
          Object.fromEntries(targets.map(({ weight, tags: [release] }) => [release, weight])),
        );
        const wanted = {
          ...(split.older === "r1" ? { r1: 100 - split.percent } : {}),
          ...(split.newer === "r2" ? { r2: split.percent } : {}),
        };
        const isSomewhere = Object.values(wanted).some((weight) => weight > 0);
        assert.deepEqual(weights, isSomewhere ? [wanted] : []);
        const headers = configuration.services.flatMap(({ name, routes }) =>
          routes.flatMap((route) => (route.headers === undefined ? [] : [[name, route.headers["x-want-release"]]])),
        );
        const named = isSomewhere ? Object.keys(wanted).map((release) => [`${release}.platform-api`, [release]]) : [];
        assert.deepEqual(headers, named);
        const ports = new Map(configuration.services.map(({ name, port }) => [name, port]));
        for (const { target, tags } of configuration.upstreams.flatMap(({ targets }) => targets))
          assert.equal(target, `127.0.0.1:${ports.get(`${tags[0]}.platform-api`)}`);
      }),
    );
  });

  it("does not take a tenant whose name begins with another's for that other", () => {
    const tenants = ["acme", "acme-labs"].map((tenant) => ({ tenant, release: "r1", status: "active" }));
    assert.deepEqual(matches(tenants, "/tenants/acme-labs/prompts"), ["acme-labs.prompts"]);
    assert.deepEqual(matches(tenants, "/tenants/acme/promptsx"), ["unknown"]);
  });
});
