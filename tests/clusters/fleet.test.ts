import assert from "node:assert/strict";
import { lookAtClusters } from "../../coordinator/doctor/clusters.ts";
import type { Environment } from "../../releases/environment.ts";
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

const isReady = ({ conditions = [] }: Pod["status"]): boolean =>
  conditions.some(({ type, status }) => type === "Ready" && status === "True");

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
    const run = await world.up({ releases: ["r2"], hasKeeper: true, startSeconds: 2 });
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
    const run = await world.up({ releases: ["r2"], hasKeeper: true, startSeconds: 2 });
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

  it("says in the pod's own words why a service does not become healthy, and leaves the other fleet alone", async () => {
    const before = await world.list<Pod>(within("api/v1", "pods"));
    const run = await world.up({
      releases: ["r1", "r2"],
      hasKeeper: true,
      startSeconds: 2,
      absent: ["r1/knowledge-rag"],
    });
    assert.notEqual(run.exitCode, 0);
    assert.match(run.text, /ImagePullBackOff/);
    assert.match(run.text, /Back-off pulling image \\?"images\.example\/rc\/knowledge-rag@sha256:0{64}/);
    const made = await world.list<Named>("/apis/apps/v1/namespaces/staging-r1/deployments");
    assert.deepEqual(namesOf(made), ["knowledge-rag", "platform-api"], "nothing starts that depends on it");
    const running = (pods: readonly Pod[]) => namesOf(pods.filter(({ status }) => isReady(status)));
    assert.deepEqual(running(await world.list<Pod>(within("api/v1", "pods"))), running(before));
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

  it("adopts what is there already, and stops at the service whose pods somebody else's quota refuses", async () => {
    const quotas = "/api/v1/namespaces/staging-r1/resourcequotas";
    const quota = (name: string, pods: string) => ({ metadata: { name }, spec: { hard: { pods } } });
    await world.ask("POST", "/api/v1/namespaces", { metadata: { name: "staging-r1", labels: { team: "ana" } } });
    await world.ask("POST", quotas, quota("fleet", "1"));
    await world.ask("POST", quotas, quota("narrow", "0"));
    const run = await world.up({ releases: ["r1", "r2"], hasKeeper: true, startSeconds: 2, digit: "2" });
    assert.notEqual(run.exitCode, 0);
    assert.match(run.text, /r1-eu-platform-api" was successfully created, but .* failed to fully initialize/);
    // Pulumi tells of pods that fail, not of those that are never made: why stands at the Deployment.
    const stuck = await world.ask("GET", "/apis/apps/v1/namespaces/staging-r1/deployments/platform-api");
    assert.match(
      JSON.stringify(stuck.body),
      /ReplicaFailure.*exceeded quota: narrow|exceeded quota: narrow.*ReplicaFailure/s,
    );
    assert.equal((await world.ask("DELETE", `${quotas}/narrow`)).status, 200);
    const again = await world.up({ releases: ["r1", "r2"], hasKeeper: true, startSeconds: 2, digit: "3" });
    assert.equal(again.exitCode, 0, again.text);
    const space = (await world.ask("GET", "/api/v1/namespaces/staging-r1")).body as Labelled;
    assert.equal(space.metadata.labels["team"], "ana");
    assert.equal(space.metadata.labels["pod-security.kubernetes.io/enforce"], "restricted");
    const { body } = await world.ask("GET", `${quotas}/fleet`);
    assert.equal((body as { spec: { hard: { pods: string } } }).spec.hard.pods, "32");
  });

  it("fails, as doctor does, when the region's API server is away, and goes on when it is back", async () => {
    const look = async (context: string) => {
      const cluster = { context, kubeconfig: "env:RC_TEST_KUBECONFIG" };
      const regions = [{ name: "eu", cluster }] as unknown as Environment["regions"];
      const [finding] = await lookAtClusters({ regions } as Environment);
      return `${finding?.outcome} ${finding?.found}`;
    };
    process.env["RC_TEST_KUBECONFIG"] = world.cluster.kubeconfig;
    assert.equal(await look("eu"), `go ${world.cluster.server} answers in context eu`);
    assert.match(await look("us"), /^no-go .* has no context us; there are: eu$/);
    await world.stop();
    assert.match(await look("eu"), /^no-go https:\S+ does not answer: .*ECONNREFUSED/);
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
