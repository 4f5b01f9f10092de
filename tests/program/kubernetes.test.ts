import assert from "node:assert/strict";
import { environmentOf, runMocked, type AskedResource } from "./mocked-program.ts";
import { type PodSpec, restrictedViolations } from "./restricted-profile.ts";

interface Metadata {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Record<string, string>;
}

interface Rule {
  readonly from?: readonly unknown[];
  readonly to?: readonly unknown[];
  readonly ports: readonly unknown[];
}

/** What the tests below read of the specs of all kinds. */
interface Spec {
  readonly template: { readonly spec: PodSpec };
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly maxUnavailable: number;
  readonly hard: Readonly<Record<string, string>>;
}

describe("the program on Kubernetes, under mocks", () => {
  let asked: AskedResource[];

  // Staging: two regions, two releases side by side, keepers.
  before(async () => {
    asked = await runMocked(environmentOf("staging"), "/nowhere/images.json");
  });

  const ofKind = (kind: string) =>
    asked.filter(({ type }) => type.startsWith("kubernetes:") && type.endsWith(`:${kind}`));
  const metadataOf = ({ inputs }: AskedResource) => inputs["metadata"] as Metadata;
  const specOf = ({ inputs }: AskedResource) => inputs["spec"] as Spec;
  const podsOf = () => [...ofKind("Deployment"), ...ofKind("Job")].map((of) => ({ of, pod: podIn(of) }));
  const podIn = (resource: AskedResource) => specOf(resource).template.spec;
  const place = (name: string, kind: string) => {
    const found = ofKind(kind).find((resource) => resource.name === name);
    assert.ok(found, `${kind} ${name}`);
    return found.place;
  };

  it("asks for restricted pods only, in namespaces that enforce it", () => {
    assert.ok(podsOf().length >= 34);
    for (const { of, pod } of podsOf()) assert.deepEqual(restrictedViolations(pod), [], of.name);
    for (const namespace of ofKind("Namespace"))
      assert.equal(metadataOf(namespace).labels?.["pod-security.kubernetes.io/enforce"], "restricted", namespace.name);
  });

  it("gives no pod a token of the cluster, a writable root or memory without a limit", () => {
    for (const { of, pod } of podsOf()) {
      assert.equal(pod.automountServiceAccountToken, false, of.name);
      for (const container of pod.containers) {
        assert.equal(container.securityContext?.["readOnlyRootFilesystem"], true, of.name);
        assert.equal(container.resources?.limits["memory"], container.resources?.requests["memory"], of.name);
      }
    }
  });

  it("runs images by digest", () => {
    for (const { of, pod } of podsOf())
      for (const container of pod.containers)
        assert.match(container.image ?? "", /^[^@]+@sha256:[0-9a-f]{64}$/, of.name);
  });

  it("keeps each region's objects to the region's own cluster", () => {
    const all = asked.filter(({ type }) => type.startsWith("kubernetes:"));
    assert.ok(all.length > 100);
    for (const { name, provider } of all) {
      const region = /(^|-)(eu|us)(-|$)/.exec(name)?.[2];
      assert.equal(provider, `${region}-cluster`, name);
    }
  });

  it("closes every namespace before it opens a door", () => {
    const policies = ofKind("NetworkPolicy");
    for (const namespace of ofKind("Namespace")) {
      const closed = policies.find(({ name }) => name === `${namespace.name}-closed`);
      assert.ok(closed, namespace.name);
      assert.deepEqual(specOf(closed), { podSelector: {}, policyTypes: ["Ingress", "Egress"] });
    }
    // An empty peer list opens a door to everybody.
    for (const policy of policies) {
      const { ingress = [], egress = [] } = specOf(policy);
      for (const rule of ingress) assert.ok((rule.from?.length ?? 0) > 0 && rule.ports.length > 0, policy.name);
      for (const rule of egress) assert.ok(rule.ports.length > 0 && rule.to?.length !== 0, policy.name);
    }
  });

  it("lets a service be called by those that depend on it, and by the gateway where it does", () => {
    const door = ofKind("NetworkPolicy").find(({ name }) => name === "r2-eu-platform-api-door");
    assert.ok(door);
    const from = JSON.stringify(specOf(door).ingress);
    for (const caller of ["knowledge-rag", "agent-orchestrator", "observability", "gateway", "monitoring", "smoke"])
      assert.ok(from.includes(`"${caller}"`), caller);
    const last = ofKind("NetworkPolicy").find(({ name }) => name === "r2-eu-observability-door");
    assert.doesNotMatch(JSON.stringify(last && specOf(last).ingress), /"gateway"|"platform-api"/);
  });

  it("starts a service after those it depends on have passed their smoke test, in its own region", () => {
    for (const region of ["eu", "us"]) {
      const started = (service: string) => place(`r2-${region}-${service}`, "Deployment");
      const passed = (service: string) => place(`r2-${region}-${service}-smoke`, "Job");
      assert.ok(started("platform-api") < passed("platform-api"));
      assert.ok(passed("platform-api") < started("knowledge-rag"));
      assert.ok(passed("knowledge-rag") < started("agent-orchestrator"));
      assert.ok(passed("agent-orchestrator") < started("observability"));
    }
  });

  it("asks on the probe tenant of the region", () => {
    const probes = ofKind("Job").map((job) => JSON.parse(podIn(job).containers[0]!.env![0]!.value).probeTenant);
    assert.deepEqual([...new Set(probes)].sort(), ["probe-r1-eu", "probe-r1-us", "probe-r2-eu", "probe-r2-us"]);
  });

  it("leaves the number of pods to the autoscaler, never below two, inside the quota", () => {
    for (const autoscaler of ofKind("HorizontalPodAutoscaler")) {
      const { minReplicas, maxReplicas } = specOf(autoscaler);
      assert.ok(minReplicas >= 2 && maxReplicas > minReplicas, autoscaler.name);
      const deployment = ofKind("Deployment").find(({ name }) => name === autoscaler.name);
      assert.equal(deployment && "replicas" in specOf(deployment), false, autoscaler.name);
      const budget = ofKind("PodDisruptionBudget").find(({ name }) => name === autoscaler.name);
      assert.equal(budget && specOf(budget).maxUnavailable, 1, autoscaler.name);
    }
    const quota = ofKind("ResourceQuota").find(({ name }) => name === "r2-eu-quota");
    assert.ok(quota);
    // Four services, each with its six pods, one more while it is replaced, and a smoke test.
    assert.equal(specOf(quota).hard["pods"], "32");
  });

  it("hands credentials to pods through Secrets of their namespace, and nowhere else", () => {
    for (const { of, pod } of podsOf()) {
      assert.doesNotMatch(JSON.stringify(of.inputs), /hunter2|mocked-password|mocked-token|mocked-secret/, of.name);
      if (of.type.endsWith(":Deployment"))
        assert.deepEqual(pod.containers[0]?.envFrom, [{ secretRef: { name: "mocked-name" } }], of.name);
    }
    const [secret] = ofKind("Secret").filter(({ name }) => name === "r2-us-credentials");
    // How a secret travels to the engine, which encrypts it in the state.
    const marked = secret?.inputs["stringData"] as Record<string, unknown>;
    assert.equal(marked["4dabf18193072939515e22adb298388d"], "1b47061264138c4ac30d75fd1eb44270");
    const data = marked["value"] as Record<string, string>;
    assert.equal(
      data["DATABASE_URL"],
      "postgresql://platform_r2:mocked-password@us.example:5432/tenant_{tenant}?sslmode=verify-full",
    );
    assert.equal(data["VAULT_ADDR"], "https://vault.us.example:8200");
  });

  it("finds the restricted profile's breaches", () => {
    const sound = podsOf()[0]!.pod;
    const [container] = sound.containers;
    const broken: PodSpec[] = [
      { ...sound, hostNetwork: true },
      { ...sound, volumes: [{ name: "host", hostPath: { path: "/" } }] },
      { ...sound, securityContext: {} },
      { ...sound, containers: [{ ...container!, securityContext: {} }] },
    ];
    for (const pod of broken) assert.ok(restrictedViolations(pod).length > 0);
  });
});
