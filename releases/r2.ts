import type { Release } from "./release.ts";

/** sha256 of each service's source folder. Compared with the folders by the image build's test. */
export const r2Sources = {
  "platform-api": "6703c83415fe2eb0b2810b3aecec827991c7c91c5b983e689d09a45a4dfa5b6b",
  "knowledge-rag": "1df2304c7ccd4a2410e69795b77de7261f1ad37a312f9a92cc2e85eb4e6e2c59",
  "agent-orchestrator": "e70d7a51c27bb1a13d33e00fee399b183da9dce0a770b4b15cff3bcf13f464bc",
  observability: "002d5200a9673fdaf5c9e58863995f336c3d59438c2a714c19e1e0ace035bf3b",
};

const probes = { health: "/healthz", ready: "/readyz", intervalSeconds: 10, startSeconds: 60 };

/** R2 Release Preview: API v2, Vault, and every prompt and message body sealed with its tenant's own key. */
export const r2: Release = {
  id: "r2",
  version: "2.0.0",
  title: "Release Preview",
  runtimes: ["docker", "kubernetes"],
  services: [
    {
      name: "kong",
      kind: "gateway",
      artifact: "rc/kong",
      version: "2.0.0",
      source: null,
      serves: { gateway: "1.0.0 || 2.0.0" },
      requires: { platform: "^2.0.0", knowledge: "^1.0.0", agents: "^1.0.0" },
      dependsOn: ["platform-api", "knowledge-rag", "agent-orchestrator"],
      probes,
      resources: { cpuCores: 0.5, memoryMib: 256, replicas: 1 },
    },
    {
      name: "platform-api",
      kind: "container",
      artifact: "rc/platform-api",
      version: "2.0.0",
      source: r2Sources["platform-api"],
      serves: { platform: "1.0.0 || 2.0.0" },
      requires: {},
      dependsOn: [],
      probes,
      resources: { cpuCores: 0.75, memoryMib: 320, replicas: 1 },
    },
    {
      name: "knowledge-rag",
      kind: "container",
      artifact: "rc/knowledge-rag",
      version: "2.0.0",
      source: r2Sources["knowledge-rag"],
      serves: { knowledge: "1.0.0 || 1.1.0" },
      requires: { platform: "^2.0.0" },
      dependsOn: ["platform-api"],
      probes,
      resources: { cpuCores: 0.5, memoryMib: 256, replicas: 1 },
    },
    {
      name: "agent-orchestrator",
      kind: "container",
      artifact: "rc/agent-orchestrator",
      version: "2.0.0",
      source: r2Sources["agent-orchestrator"],
      serves: { agents: "1.0.0 || 1.1.0" },
      requires: { platform: "^2.0.0", knowledge: "^1.0.0" },
      dependsOn: ["platform-api", "knowledge-rag"],
      probes,
      resources: { cpuCores: 0.5, memoryMib: 256, replicas: 1 },
    },
    {
      name: "observability",
      kind: "container",
      artifact: "rc/observability",
      version: "2.0.0",
      source: r2Sources.observability,
      serves: { metrics: "1.0.0" },
      requires: { platform: "^2.0.0" },
      dependsOn: ["platform-api", "knowledge-rag", "agent-orchestrator"],
      probes,
      resources: { cpuCores: 0.25, memoryMib: 128, replicas: 1 },
    },
  ],
  vault: { isNeeded: true, engines: ["transit"], authMethods: ["approle"], needsAuditDevice: true },
  milvus: { isNeeded: false },
  regions: { minimum: 1, maximum: 5 },
  schema: { expandTo: "0002", contractTo: "0003", oldestOn: { expand: "r1", contract: "r2" } },
  data: [
    {
      mirror: "prompt-encryption",
      to: "sink",
      isRebuildable: true,
      title: "Prompt and message bodies, sealed with the tenant's data key, which the tenant's key in Vault wraps",
    },
  ],
  flags: [
    { key: "api-v2", isOn: true, title: "Platform API v2 for clients" },
    { key: "sealed-prompts", isOn: true, title: "Consoles say that prompts are stored encrypted" },
  ],
  gates: [
    {
      id: "vault-healthy",
      title: "Vault is unsealed and answers for the transit mount",
      before: "promotion",
      judge: "machine",
    },
    {
      id: "services-ready",
      title: "Every service of the fleet answers its readiness probe",
      before: "cutover",
      judge: "machine",
    },
    { id: "smoke", title: "The smoke tests pass on the probe tenant", before: "cutover", judge: "machine" },
    {
      id: "lock-time",
      title: "Writers wait no longer than this for a tenant's cutover, 99th percentile",
      before: "promotion",
      judge: "machine",
      limit: { compare: "at-most", value: 500, unit: "milliseconds" },
    },
    {
      id: "error-rate",
      title: "Requests that the release answers with a server error, over ten minutes",
      before: "cutover",
      judge: "machine",
      limit: { compare: "at-most", value: 1, unit: "percent" },
      query:
        '100 * (sum(rate(rc_requests_total{release="{release}",outcome="failed"}[10m])) or vector(0)) / sum(rate(rc_requests_total{release="{release}"}[10m]))',
    },
    {
      id: "latency-p99",
      title: "Time the release takes to answer, 99th percentile over ten minutes",
      before: "cutover",
      judge: "machine",
      limit: { compare: "at-most", value: 0.8, unit: "seconds" },
      query: 'histogram_quantile(0.99, sum by (le) (rate(rc_request_seconds_bucket{release="{release}"}[10m])))',
    },
    {
      id: "rebuild-time",
      title: "Rebuilding the clear text after the point of no instant return stays inside the rollback promise",
      before: "finalize",
      judge: "machine",
      limit: { compare: "at-most", value: 15, unit: "minutes" },
    },
    {
      id: "security-review",
      title: "Security has read the cryptography notes and the evidence of staging",
      before: "promotion",
      judge: "human",
    },
  ],
  checklist: {
    preRelease: [
      { id: "vault", text: "Vault is healthy, its audit device writes", gate: "vault-healthy" },
      { id: "prompts-in-database", text: "Every prompt is in the database: no file and no cache holds the only copy" },
      { id: "backup", text: "A backup newer than 15 minutes exists and its restore drill is younger than 30 days" },
    ],
    readiness: [
      { id: "preview", text: "The preview's tenants, rows, bytes and minutes were read by the approver" },
      { id: "security", text: "Security has signed", gate: "security-review" },
    ],
    testing: [
      { id: "smoke", text: "Smoke tests on the probe tenant of r2", gate: "smoke" },
      {
        id: "there-and-back",
        text: "The canary wave went to r2, back to r1 and to r2 again in staging without a lost row",
      },
    ],
    deployment: [
      { id: "fleet", text: "The fleet of r2 is ready beside the fleet of r1", gate: "services-ready" },
      { id: "waves", text: "Waves move in order; each cutover's lock time is inside its limit", gate: "lock-time" },
    ],
    postRelease: [
      { id: "leak-scan", text: "A scan finds no clear prompt text in the sealed tables" },
      { id: "finalize", text: "The point of no instant return is decided wave by wave", gate: "rebuild-time" },
      { id: "notes", text: "The release notes are published" },
    ],
  },
  traffic: {
    paths: [{ path: "/healthz", service: "platform-api" }],
    steps: [
      { percent: 5, soakMinutes: 30, gates: ["error-rate", "latency-p99"] },
      { percent: 25, soakMinutes: 60, gates: ["error-rate", "latency-p99"] },
      { percent: 100, soakMinutes: 60, gates: ["error-rate", "latency-p99"] },
    ],
  },
  requires: {
    releases: ["r1"],
    blockers: [
      {
        id: "vault-healthy",
        title: "Vault is unsealed and reachable, and the environment declares it",
        state: "checked",
        mend: "unseal Vault, then coordinator promote r2 adds present.vault to the stack file",
      },
      {
        id: "prompts-in-database",
        title: "Every prompt is in the database: no file and no cache holds the only copy",
        state: "checked",
        mend: "import what coordinator check r2 lists as outside the database",
      },
    ],
    apis: { platform: "^1.0.0", agents: "^1.0.0", knowledge: "^1.0.0" },
  },
  slos: [
    {
      id: "availability",
      title: "Requests answered without a server error",
      objective: { compare: "at-least", value: 99.5, unit: "percent" },
      windowDays: 30,
      budgetPercent: 0.5,
    },
    {
      id: "latency-p99",
      title: "Prompt read latency, 99th percentile, opening included",
      objective: { compare: "at-most", value: 800, unit: "milliseconds" },
      windowDays: 30,
      budgetPercent: 1,
    },
    {
      id: "rollback",
      title: "From the command to the last tenant back on r1",
      objective: { compare: "at-most", value: 15, unit: "minutes" },
      windowDays: 90,
      budgetPercent: 0,
    },
  ],
  notes: [
    "Prompt and message bodies are sealed with AES-256-GCM under a key of the tenant's own, wrapped by the tenant's key in Vault.",
    "Platform API v2; version 1 is served as before.",
    "Rollback to r1 is instant until a wave is finalized; afterwards the clear text is rebuilt from the sealed bodies.",
  ],
  breakingChanges: [],
  knownIssues: [
    {
      id: "clear-parts",
      text: "Prompt titles, chunk text and embeddings stay in clear; write-ahead log and old backups keep clear bodies until they expire.",
    },
    {
      id: "older-ciphertext",
      text: "An older ciphertext put back into its own row opens, and no command of this release finds it.",
    },
    {
      id: "later-data-work",
      text: "Conversation archival and the audit hash chain are not in this release; they come under a later id.",
    },
  ],
};
