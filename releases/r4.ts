import type { Release } from "./release.ts";
import { r3 } from "./r3.ts";

const probes = { health: "/healthz", ready: "/readyz", intervalSeconds: 10, startSeconds: 60 };

/** R4 General Availability, as far as it is known. Its open blockers say what is missing; nothing can be promoted to it before. */
export const r4: Release = {
  id: "r4",
  version: "4.0.0",
  title: "General Availability",
  runtimes: ["kubernetes"],
  services: [
    ...r3.services.map((service) => ({ ...service, version: "4.0.0" })),
    {
      name: "marketplace",
      kind: "container",
      artifact: "rc/marketplace",
      version: "4.0.0",
      source: null,
      serves: { marketplace: "1.0.0" },
      requires: { platform: "^2.1.0" },
      dependsOn: ["platform-api"],
      probes,
      resources: { cpuCores: 1, memoryMib: 512, replicas: 2 },
    },
  ],
  vault: { isNeeded: true, engines: ["transit", "database"], authMethods: ["kubernetes"], needsAuditDevice: true },
  milvus: { isNeeded: true },
  regions: { minimum: 2, maximum: 20 },
  schema: { expandTo: "0006", contractTo: "0006", oldestOn: { expand: "r3", contract: "r3" } },
  data: [],
  flags: [...r3.flags, { key: "marketplace", isOn: true, title: "The marketplace is open" }],
  gates: [
    {
      id: "marketplace-infrastructure",
      title: "The marketplace infrastructure is ready",
      before: "promotion",
      judge: "human",
    },
    {
      id: "regions-tested",
      title: "A region move and the loss of a region were drilled",
      before: "promotion",
      judge: "machine",
    },
  ],
  checklist: {
    preRelease: [
      { id: "marketplace", text: "The marketplace infrastructure is ready", gate: "marketplace-infrastructure" },
    ],
    readiness: [],
    testing: [{ id: "regions", text: "Several regions are tested", gate: "regions-tested" }],
    deployment: [],
    postRelease: [],
  },
  requires: {
    releases: ["r3"],
    blockers: [
      {
        id: "marketplace-infrastructure",
        title: "The marketplace infrastructure is ready",
        state: "checked",
        mend: "finish the marketplace infrastructure",
      },
      { id: "regions-tested", title: "Several regions are tested", state: "checked", mend: "run the region drills" },
      {
        id: "services-unbuilt",
        title: "The services of r4 have no source yet",
        state: "open",
        mend: "write them, set their source hashes in releases/r4.ts and remove this blocker",
      },
      {
        id: "region-move-unwritten",
        title: "The marketplace schema and region moves have no migration yet",
        state: "open",
        mend: "add Alembic revision 0006 and migrations/region-move.ts, then remove this blocker from releases/r4.ts",
      },
    ],
    apis: { platform: "^2.1.0" },
  },
  slos: [
    {
      id: "availability",
      title: "Requests answered without a server error",
      objective: { compare: "at-least", value: 99.9, unit: "percent" },
      windowDays: 30,
      budgetPercent: 0.1,
    },
  ],
  notes: ["Planned: marketplace, several regions, objectives with burn-rate alerts, rollouts per client."],
  breakingChanges: [],
  knownIssues: [],
};
