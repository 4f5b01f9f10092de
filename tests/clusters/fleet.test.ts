import assert from "node:assert/strict";
import { buildMinutes, ClusterStack, imageOf } from "./cluster-stack.ts";

interface Named {
  readonly metadata: { readonly name: string; readonly namespace: string };
}

interface Pod extends Named {
  readonly spec: { readonly nodeName?: string };
  readonly status: { readonly phase: string; readonly conditions?: { type: string; status: string }[] };
}

interface Labelled {
  readonly metadata: { readonly labels: Readonly<Record<string, string>> };
}

interface Quota {
  readonly status: Readonly<Record<"hard" | "used", Readonly<Record<"limits.memory", string>>>>;
}

const isReady = ({ conditions = [] }: Pod["status"]): boolean =>
  conditions.some(({ type, status }) => type === "Ready" && status === "True");

/** A quantity as the quota controller writes it. */
function mebibytes(quantity: string): number {
  const [, digits = "", unit = ""] = /^(\d+)(Ki|Mi|Gi)?$/.exec(quantity) ?? assert.fail(quantity);
  return Number(digits) * ({ Ki: 1 / 1024, Mi: 1, Gi: 1024 }[unit] ?? 1 / 1_048_576);
}

/** Two minutes on a busy machine. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  for (let left = 600; !(await isSo()); left -= 1) {
    assert.ok(left > 0, "it never came to be so");
    await new Promise((done) => setTimeout(done, 200));
  }
}

describe("a fleet in a real cluster", function () {
  this.timeout(600_000);
  let world: ClusterStack;
  const namespace = "staging-r2";
  const within = (group: string, kind: string) => `/${group}/namespaces/${namespace}/${kind}`;
  const services = ["agent-orchestrator", "knowledge-rag", "observability", "platform-api"];
  const namesOf = (objects: readonly Named[]) => objects.map(({ metadata }) => metadata.name).sort();

  before(async function () {
    this.timeout(buildMinutes * 60_000);
    world = await ClusterStack.start();
  });
  after(async () => {
    await world.end();
  });

  it("is applied, admitted and ready, service after service, with its smoke tests passed", async () => {
    const run = await world.up({ releases: ["r2"], hasKeeper: true });
    assert.equal(run.exitCode, 0, run.text);
    assert.deepEqual(namesOf(await world.list(within("apis/apps/v1", "deployments"))), services);
    assert.deepEqual(namesOf(await world.list(within("apis/policy/v1", "poddisruptionbudgets"))), services);
    assert.deepEqual(namesOf(await world.list(within("apis/autoscaling/v2", "horizontalpodautoscalers"))), services);
    const jobs = await world.list<{ status: { succeeded?: number } }>(within("apis/batch/v1", "jobs"));
    assert.deepEqual(
      jobs.map(({ status }) => status.succeeded),
      [1, 1, 1, 1],
    );
    const pods = await world.list<Pod>(within("api/v1", "pods"));
    for (const { metadata, status, spec } of pods) {
      assert.ok(spec.nodeName, metadata.name);
      assert.match(status.phase, /^(Running|Succeeded)$/, metadata.name);
    }
    const spaces = await world.list<{ metadata: { name: string; labels: Record<string, string> } }>(
      "/api/v1/namespaces",
    );
    for (const { metadata } of spaces.filter(({ metadata: { name } }) => name.startsWith("staging-")))
      assert.equal(metadata.labels["pod-security.kubernetes.io/enforce"], "restricted", metadata.name);
  });

  it("is not touched by a second update", async () => {
    const run = await world.up({ releases: ["r2"], hasKeeper: true });
    assert.equal(run.exitCode, 0, run.text);
    assert.deepEqual(Object.keys(run.summary), ["same"], JSON.stringify(run.summary));
  });

  it("is brought to two pods a service by the real autoscaler, one of which may be evicted at a time", async () => {
    const budgets = () =>
      world.list<Named & { status: { disruptionsAllowed: number; desiredHealthy: number } }>(
        within("apis/policy/v1", "poddisruptionbudgets"),
      );
    await eventually(async () =>
      (await budgets()).every(({ status }) => status.disruptionsAllowed === 1 && status.desiredHealthy === 1),
    );
    const ofService = async () =>
      (await world.list<Pod>(within("api/v1", "pods"))).filter(
        ({ metadata, status }) => metadata.name.startsWith("platform-api-") && isReady(status),
      );
    const [first] = await ofService();
    assert.ok(first);
    const evicted = await world.ask("POST", `${within("api/v1", "pods")}/${first.metadata.name}/eviction`, {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { name: first.metadata.name, namespace },
    });
    assert.equal(evicted.status, 201, JSON.stringify(evicted.body));
    await eventually(async () => {
      const names = namesOf(await ofService());
      return names.length === 2 && !names.includes(first.metadata.name);
    });
  });

  it("says in the pod's own words why a service does not become healthy, and keeps the old pods running", async () => {
    const run = await world.up({ releases: ["r2"], hasKeeper: true, startSeconds: 2, absent: ["observability"] });
    assert.notEqual(run.exitCode, 0);
    assert.match(run.text, /ImagePullBackOff/);
    assert.match(run.text, /Back-off pulling image \\?"images\.example\/rc\/observability@sha256:0{64}/);
    const pods = await world.list<Pod>(within("api/v1", "pods"));
    const ready = pods.filter(({ metadata, status }) => metadata.name.startsWith("observability-") && isReady(status));
    assert.equal(ready.length, 2);
  });

  it("takes back what another field manager has changed by hand, with the next change of that object", async () => {
    const path = `${within("apis/apps/v1", "deployments")}/observability`;
    const foreign = {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "observability", namespace },
      spec: { template: { spec: { containers: [{ name: "observability", image: "elsewhere.example/edited" }] } } },
    };
    const applied = await world.ask(
      "PATCH",
      `${path}?fieldManager=a-person&force=true`,
      foreign,
      "application/apply-patch+yaml",
    );
    assert.equal(applied.status, 200, JSON.stringify(applied.body));
    const run = await world.up({ releases: ["r2"], hasKeeper: true, startSeconds: 2, digit: "2" });
    assert.equal(run.exitCode, 0, run.text);
    const { body } = await world.ask("GET", path);
    const { spec } = body as { spec: { template: { spec: { containers: { image: string }[] } } } };
    assert.equal(spec.template.spec.containers[0]?.image, imageOf("observability", "2"));
  });

  it("adopts a namespace and a quota that are there already, and closes them", async () => {
    await world.ask("POST", "/api/v1/namespaces", { metadata: { name: "staging-r1", labels: { team: "ana" } } });
    await world.ask("POST", "/api/v1/namespaces/staging-r1/resourcequotas", {
      metadata: { name: "fleet" },
      spec: { hard: { pods: "1" } },
    });
    const run = await world.up({ releases: ["r1", "r2"], hasKeeper: true, startSeconds: 2, digit: "2" });
    assert.equal(run.exitCode, 0, run.text);
    const space = (await world.ask("GET", "/api/v1/namespaces/staging-r1")).body as Labelled;
    assert.equal(space.metadata.labels["team"], "ana");
    assert.equal(space.metadata.labels["pod-security.kubernetes.io/enforce"], "restricted");
    const quota = (await world.ask("GET", "/api/v1/namespaces/staging-r1/resourcequotas/fleet")).body;
    assert.equal((quota as { spec: { hard: { pods: string } } }).spec.hard.pods, "32");
  });

  it("stops at the service whose new pods would exceed the quota, and goes on when there is room", async () => {
    // Somebody else's pod takes what the fleet has kept for replacing its own.
    const greedy = { requests: { cpu: "1m", memory: "1Mi" }, limits: { memory: "1Mi" } };
    const pods = within("api/v1", "pods");
    const room = (await world.ask("GET", `${within("api/v1", "resourcequotas")}/fleet`)).body as Quota;
    const left = mebibytes(room.status.hard["limits.memory"]) - mebibytes(room.status.used["limits.memory"]);
    greedy.requests.memory = greedy.limits.memory = `${left}Mi`;
    const taken = await world.ask("POST", pods, {
      metadata: { name: "greedy" },
      spec: {
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, runAsUser: 65_532, seccompProfile: { type: "RuntimeDefault" } },
        containers: [
          {
            name: "greedy",
            image: "images.example/greedy",
            resources: greedy,
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          },
        ],
      },
    });
    assert.equal(taken.status, 201, JSON.stringify(taken.body));
    const run = await world.up({ releases: ["r1", "r2"], hasKeeper: true, startSeconds: 2, digit: "3" });
    assert.notEqual(run.exitCode, 0);
    assert.match(run.text, /"staging-r2\/platform-api" failed to fully initialize/);
    // Pulumi tells of pods that fail, not of those that are never made: why stands at the Deployment.
    const stuck = await world.ask("GET", `${within("apis/apps/v1", "deployments")}/platform-api`);
    assert.match(JSON.stringify(stuck.body), /ReplicaFailure.*exceeded quota: fleet/s);
    assert.equal((await world.ask("DELETE", `${pods}/greedy`)).status, 200);
    const again = await world.up({ releases: ["r1", "r2"], hasKeeper: true, startSeconds: 2, digit: "3" });
    assert.equal(again.exitCode, 0, again.text);
  });

  it("fails naming the region's API server when it is away, and goes on when it is back", async () => {
    await world.stop();
    const lost = await world.up({ releases: ["r2"], hasKeeper: true, startSeconds: 2, digit: "3" });
    assert.notEqual(lost.exitCode, 0);
    assert.match(lost.text, /eu-cluster|unreachable|connection refused/);
    await world.startAgain();
    const run = await world.up({ releases: ["r2"], hasKeeper: true, startSeconds: 2, digit: "3" });
    assert.equal(run.exitCode, 0, run.text);
    assert.equal((await world.ask("GET", "/api/v1/namespaces/staging-r1")).status, 404);
  });

  it("removes everything that it made, and nothing else", async () => {
    const run = await world.stack.destroy();
    assert.equal(run.exitCode, 0, run.text);
    const spaces = namesOf(await world.list("/api/v1/namespaces"));
    assert.deepEqual(spaces, ["default", "kube-node-lease", "kube-public", "kube-system"]);
  });
});
