import type { StackReport } from "../../../coordinator/report/stack-report.ts";

/** Pins of a day: the examples in the documentation must not change with every release's sources. */
const r1 = "r1@906f11ab36dc";
const r2 = "r2@2bc90ae55134";
const asOf = new Date("2027-01-18T09:00:00Z");
const mirror = "prompt-encryption";

/** Staging already runs what it pins: nothing changes. */
export const quiet: StackReport = {
  format: 1,
  environment: "staging",
  outcome: "go",
  blockers: [],
  unseen: [],
  pins: { canary: { now: r2, back: r1 }, general: { now: r2, back: r1 } },
  moves: [],
  positions: [{ mirror, position: "switched", tenants: 42, rows: 1_210_400, dirty: 88, rateRowsPerSecond: 5200 }],
  migrations: [],
  waysBack: ["canary", "general"].map((wave) => ({
    wave,
    from: r2,
    to: r1,
    outcome: "go",
    reasons: [],
    seconds: 12,
    secondsAfterFinalize: 233,
    asOf,
  })),
  changes: [],
  counts: { create: 0, update: 0, replace: 0, delete: 0 },
  risks: [],
  gates: [],
  remarks: [],
  releaseNotes: [],
  digest: "0c1f5b7a99e2d310",
  approval: null,
};

/** The canary wave of prod goes to R2 in a pull request. */
export const promotion: StackReport = {
  ...quiet,
  environment: "prod",
  pins: { canary: { now: r2, back: r1 }, general: { now: r1, back: "none" } },
  moves: [
    {
      waves: ["canary"],
      fromPin: r1,
      toPin: r2,
      diff: {
        from: "r1",
        to: "r2",
        services: ["platform-api", "knowledge-rag"].map((name) => ({ name, from: "1.0.0", to: "2.0.0" })),
        schema: { from: "0001", expandTo: "0002", contractTo: "0003" },
        flags: [{ key: "api-v2", from: false, to: true }],
        mirrors: [{ mirror, to: "sink" }],
      },
    },
  ],
  positions: [],
  migrations: [
    {
      wave: "canary",
      pin: r2,
      tenants: 12,
      moving: 12,
      dirty: 0,
      mirrors: [
        {
          mirror,
          step: "build",
          tenants: 12,
          rows: 318_220,
          bytes: 402_653_184,
          diskBytes: 461_373_440,
          seconds: 64,
          rateFrom: "measured",
          isFinalized: false,
        },
      ],
      after: [{ mirror, position: "switched", tenants: 12, rows: 318_220, dirty: 0, rateRowsPerSecond: 5000 }],
      obstacles: [],
    },
  ],
  waysBack: [
    {
      wave: "canary",
      from: r2,
      to: r1,
      outcome: "go",
      reasons: [
        "prompt-encryption: instant for 12 tenants to r1 (nothing to drain, then one short transaction each), until finalize retires the mirror",
      ],
      seconds: 6,
      secondsAfterFinalize: 70,
      asOf,
    },
    {
      wave: "general",
      from: r1,
      to: undefined,
      outcome: "no-go",
      reasons: [`${r1} is the first release: there is nothing to go back to`],
      seconds: undefined,
      secondsAfterFinalize: undefined,
      asOf,
    },
  ],
  changes: [
    { op: "create", type: "Container", name: "r2-eu-platform-api", properties: [] },
    {
      op: "update",
      type: "Prepare",
      name: "canary-prepare",
      properties: [
        {
          path: "release.pin",
          from: JSON.stringify(r1),
          to: JSON.stringify(r2),
          forcesReplacement: false,
          isSecret: false,
        },
      ],
    },
    {
      op: "update",
      type: "Role",
      name: "platform_r2",
      properties: [{ path: "password", from: "[secret]", to: "[secret]", forcesReplacement: false, isSecret: true }],
    },
  ],
  counts: { create: 1, update: 2, replace: 0, delete: 0 },
  risks: [
    { kind: "secret", text: "update of Role platform_r2 changes a secret: password" },
    { kind: "migration", text: `wave canary: 12 of 12 tenants move to ${r2}` },
  ],
  remarks: ["vault-healthy: cleared (Vault of region eu: active)"],
  releaseNotes: ["r2: Platform API v2; version 1 is served as before."],
  digest: "5f0c2a91b7e4d388",
  approval: {
    minimum: 2,
    roles: ["release-manager", "security"],
    command:
      "coordinator approve r2 --env prod --digest 5f0c2a91b7e4d388 --rows 318220 --tenants 12 --role <role> --key <file>",
  },
};

/** The preview of prod was refused, and Vault could not be asked. */
export const refused: StackReport = {
  ...promotion,
  outcome: "no-go",
  blockers: [
    "prod is held at r1@906f11ab36dc since 2027-01-17T03:12:00.000Z (ana: error rate of r2 in canary): merge the printed patch, or coordinator promote r2 --env prod",
    "blocker vault-healthy stands in the way of r2: Vault of region eu: sealed; unseal Vault",
  ],
  unseen: [{ what: "the resources", why: "the preview did not end: see what stands in the way" }],
  changes: null,
  counts: null,
  risks: promotion.risks.slice(1),
  digest: null,
  approval: null,
};
