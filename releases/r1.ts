import type { Release } from "./release.ts";

/** sha256 of each service's source folder. Compared with the folders by the image build's test. */
export const r1Sources = {
  "platform-api": "25c1dd5220d6b9d1ea8692e801b3f8b2b57bdaeb50a8e164262fbe7e7b640ecd",
  "knowledge-rag": "644ee5ec88ddbd15f428ef9861337fc63dfcb231a3ecaa7fbd4db50114ebdf39",
  "agent-orchestrator": "9ac92bfcbf4a23ba7daad238cfecd8f1bc7a60ea7a8a04c5456710cf39dc52f3",
  observability: "998a8add7aaf309c0255e8d31e573bd5c4e2f30976cf1f347ab09612b6daffa9",
};

const probes = { health: "/healthz", ready: "/readyz", intervalSeconds: 10, startSeconds: 60 };

/** R1 Beta: prompts in clear, the Alembic baseline; on one Docker host, or in clusters where an environment begins there. */
export const r1: Release = {
  id: "r1",
  version: "1.0.0",
  title: "Beta / MVP",
  runtimes: ["docker", "kubernetes"],
  services: [
    {
      name: "kong",
      kind: "gateway",
      artifact: "rc/kong",
      version: "1.0.0",
      source: null,
      serves: { gateway: "1.0.0" },
      requires: { platform: "^1.0.0", knowledge: "^1.0.0", agents: "^1.0.0" },
      dependsOn: ["platform-api", "knowledge-rag", "agent-orchestrator"],
      probes,
      resources: { cpuCores: 0.5, memoryMib: 256, replicas: 1 },
    },
    {
      name: "platform-api",
      kind: "container",
      artifact: "rc/platform-api",
      version: "1.0.0",
      source: r1Sources["platform-api"],
      serves: { platform: "1.0.0" },
      requires: {},
      dependsOn: [],
      probes,
      resources: { cpuCores: 0.5, memoryMib: 256, replicas: 1 },
    },
    {
      name: "knowledge-rag",
      kind: "container",
      artifact: "rc/knowledge-rag",
      version: "1.0.0",
      source: r1Sources["knowledge-rag"],
      serves: { knowledge: "1.0.0" },
      requires: { platform: "^1.0.0" },
      dependsOn: ["platform-api"],
      probes,
      resources: { cpuCores: 0.5, memoryMib: 256, replicas: 1 },
    },
    {
      name: "agent-orchestrator",
      kind: "container",
      artifact: "rc/agent-orchestrator",
      version: "1.0.0",
      source: r1Sources["agent-orchestrator"],
      serves: { agents: "1.0.0" },
      requires: { platform: "^1.0.0", knowledge: "^1.0.0" },
      dependsOn: ["platform-api", "knowledge-rag"],
      probes,
      resources: { cpuCores: 0.5, memoryMib: 256, replicas: 1 },
    },
    {
      name: "observability",
      kind: "container",
      artifact: "rc/observability",
      version: "1.0.0",
      source: r1Sources.observability,
      serves: { metrics: "1.0.0" },
      requires: { platform: "^1.0.0" },
      dependsOn: ["platform-api", "knowledge-rag", "agent-orchestrator"],
      probes,
      resources: { cpuCores: 0.25, memoryMib: 128, replicas: 1 },
    },
  ],
  vault: { isNeeded: false, engines: [], authMethods: [], needsAuditDevice: false },
  milvus: { isNeeded: false },
  regions: { minimum: 1, maximum: 5 },
  schema: { expandTo: "0001", contractTo: "0001", oldestOn: { expand: "r1", contract: "r1" } },
  data: [],
  flags: [
    { key: "api-v2", isOn: false, title: "Platform API v2 for clients" },
    { key: "sealed-prompts", isOn: false, title: "Consoles say that prompts are stored encrypted" },
  ],
  gates: [
    {
      id: "services-ready",
      title: "Every service of the fleet answers its readiness probe",
      before: "cutover",
      judge: "machine",
    },
    { id: "smoke", title: "The smoke tests pass on the probe tenant", before: "cutover", judge: "machine" },
    {
      id: "acceptance",
      title: "The acceptance tests of the first tenant are signed",
      before: "promotion",
      judge: "human",
    },
  ],
  checklist: {
    preRelease: [
      { id: "baseline", text: "The Alembic baseline 0001 builds an empty tenant database" },
      { id: "seed", text: "The seed tenants are named in the stack file" },
    ],
    readiness: [
      {
        id: "host",
        text: "The Docker host, or each cluster, has room for the fleet: 1.75 cores and 0.9 GiB for one pod of each service",
      },
      { id: "on-call", text: "Somebody is on call and has read the rollback runbook" },
    ],
    testing: [
      { id: "smoke", text: "Smoke tests on the probe tenant", gate: "smoke" },
      { id: "acceptance", text: "Acceptance tests with the first tenant", gate: "acceptance" },
    ],
    deployment: [
      { id: "fleet", text: "The fleet is ready", gate: "services-ready" },
      { id: "onboard", text: "The first tenant is onboarded and routed" },
    ],
    postRelease: [
      { id: "watch", text: "Availability and latency stay inside the objectives for one hour" },
      { id: "notes", text: "The release notes are published" },
    ],
  },
  traffic: {
    paths: [{ path: "/healthz", service: "platform-api" }],
    steps: [{ percent: 100, soakMinutes: 0, gates: [] }],
  },
  requires: { releases: [], blockers: [], apis: {} },
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
      title: "Prompt read latency, 99th percentile",
      objective: { compare: "at-most", value: 800, unit: "milliseconds" },
      windowDays: 30,
      budgetPercent: 1,
    },
  ],
  notes: [
    "First release: gateway, Platform API, Agent Orchestrator, Knowledge & RAG and Observability, on one Docker host or on Kubernetes.",
    "One PostgreSQL database per tenant with pgvector; the schema starts at Alembic revision 0001.",
  ],
  breakingChanges: [],
  knownIssues: [{ id: "prompts-in-clear", text: "Prompt and message bodies are stored in clear until r2." }],
};
