import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../local/servers/free-port.ts";
import { askKubernetes } from "../../local/servers/kubernetes-client.ts";
import { removeKubernetes, startKubernetes, stopKubernetes } from "../../local/servers/kubernetes.ts";
import type { KubernetesArgs, RunningKubernetes } from "../../local/servers/kubernetes.ts";
import { gatewayDefinitions } from "../../local/toolchain/gateway-api.ts";
import { ensureKubernetes } from "../../local/toolchain/kubernetes.ts";
import { applyHttpRoute } from "../../migrations/traffic/http-route.ts";
import type { TrafficSplit } from "../../migrations/traffic/split.ts";
import { buildMinutes } from "./cluster-stack.ts";

interface Route {
  readonly metadata: { readonly managedFields: readonly { readonly manager: string }[] };
  readonly spec: {
    readonly rules: readonly {
      readonly matches: readonly {
        readonly path: { value: string };
        readonly headers?: readonly { value: string }[];
      }[];
      readonly backendRefs: readonly { readonly namespace: string; readonly name: string; readonly weight: number }[];
    }[];
  };
}

const group = "/apis/gateway.networking.k8s.io";
const routePath = `${group}/v1/namespaces/gateway/httproutes/staging-traffic`;

/** A real API server with the Gateway API's own definitions; no gateway follows it here. */
describe("traffic as an HTTPRoute", function () {
  this.timeout(300_000);
  let folder: string;
  let args: KubernetesArgs;
  let cluster: RunningKubernetes;

  const ask = (method: string, path: string, body?: object, type?: string) =>
    askKubernetes(cluster, method, path, body, type);
  const split = (percent: number): TrafficSplit => ({
    newer: "r2",
    older: "r1",
    percent,
    paths: [
      { path: "/healthz", service: "platform-api" },
      { path: "/docs", service: "knowledge-rag" },
    ],
  });
  const carrier = { kind: "gateway-api", gateway: "platform", namespace: "gateway" } as const;
  const apply = (percent: number, changes: object = {}) =>
    applyHttpRoute({
      environment: "staging",
      carrier,
      split: split(percent),
      region: {
        name: "eu",
        postgresUrl: "env:NONE",
        cluster: { context: "traffic", kubeconfig: "env:RC_TEST_KUBECONFIG" },
      },
      ...changes,
    });
  const read = async (): Promise<Route> => {
    const { status, body } = await ask("GET", routePath);
    assert.equal(status, 200, JSON.stringify(body));
    return body as Route;
  };
  /** By path and header: namespace/service and weight. */
  const rules = async () =>
    Object.fromEntries(
      (await read()).spec.rules.map(({ matches: [match], backendRefs }) => [
        `${match?.path.value} ${match?.headers?.[0]?.value ?? "*"}`,
        backendRefs.map(({ namespace, name, weight }) => `${namespace}/${name} ${weight}`).join(", "),
      ]),
    );

  before(async function () {
    this.timeout(buildMinutes * 60_000);
    await ensureKubernetes();
    folder = await mkdtemp(join(tmpdir(), "rc-route-"));
    args = {
      homeFolder: join(folder, "home"),
      dataFolder: join(folder, "data"),
      region: "traffic",
      firstPort: await findFreePort(3),
      isTiedToParent: true,
    };
    cluster = await startKubernetes(args);
    process.env["RC_TEST_KUBECONFIG"] = cluster.kubeconfig;
  });
  after(async () => {
    await removeKubernetes(args);
    await rm(folder, { recursive: true, force: true });
  });

  it("is refused by a cluster without the Gateway API, in words that say so", async () => {
    await assert.rejects(
      apply(5),
      /region eu, traffic: https:\S+: ReferenceGrant staging-r1\/traffic: 404 .*install the Gateway API/,
    );
    for (const definition of await gatewayDefinitions()) {
      const { status, body } = await ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
      assert.equal(status, 201, JSON.stringify(body).slice(0, 400));
    }
    for (const name of ["gateway", "staging-r1", "staging-r2"])
      assert.equal((await ask("POST", "/api/v1/namespaces", { metadata: { name } })).status, 201);
    const isServed = async () =>
      (await ask("GET", `${group}/v1/httproutes`)).status === 200 &&
      (await ask("GET", `${group}/v1beta1/referencegrants`)).status === 200;
    while (!(await isServed())) await new Promise((done) => setTimeout(done, 100));
  });

  it("shares each path by weight between the Services of two fleets, and by header, and lets the route name them", async () => {
    await apply(5);
    assert.deepEqual(await rules(), {
      "/healthz r1": "staging-r1/platform-api 1",
      "/healthz r2": "staging-r2/platform-api 1",
      "/healthz *": "staging-r1/platform-api 95, staging-r2/platform-api 5",
      "/docs r1": "staging-r1/knowledge-rag 1",
      "/docs r2": "staging-r2/knowledge-rag 1",
      "/docs *": "staging-r1/knowledge-rag 95, staging-r2/knowledge-rag 5",
    });
    for (const release of ["r1", "r2"]) {
      const { body } = await ask("GET", `${group}/v1beta1/namespaces/staging-${release}/referencegrants/traffic`);
      const { spec } = body as { spec: { from: { namespace: string }[]; to: { kind: string }[] } };
      assert.deepEqual([spec.from[0]?.namespace, spec.to[0]?.kind], ["gateway", "Service"]);
    }
    await apply(0);
    assert.equal((await rules())["/healthz *"], "staging-r1/platform-api 100, staging-r2/platform-api 0");
    await apply(100);
    assert.equal((await rules())["/docs *"], "staging-r1/knowledge-rag 0, staging-r2/knowledge-rag 100");
  });

  it("takes back what somebody else has written into it, and leaves their own fields alone", async () => {
    const stolen = { apiVersion: "gateway.networking.k8s.io/v1", kind: "HTTPRoute", ...(await read()) } as Route;
    const changed = stolen.spec.rules.map((rule) => ({
      ...rule,
      backendRefs: rule.backendRefs.map((backend) => ({ ...backend, weight: 7 })),
    }));
    const theirs = {
      apiVersion: "gateway.networking.k8s.io/v1",
      kind: "HTTPRoute",
      metadata: { name: "staging-traffic", namespace: "gateway", annotations: { "example.com/owner": "ana" } },
      spec: { parentRefs: [{ name: "platform" }], rules: changed },
    };
    const taken = await ask(
      "PATCH",
      `${routePath}?fieldManager=ana&force=true`,
      theirs,
      "application/apply-patch+yaml",
    );
    assert.equal(taken.status, 200, JSON.stringify(taken.body));
    assert.equal((await rules())["/docs *"], "staging-r1/knowledge-rag 7, staging-r2/knowledge-rag 7");
    await apply(25);
    assert.equal((await rules())["/docs *"], "staging-r1/knowledge-rag 75, staging-r2/knowledge-rag 25");
    const { metadata } = (await read()) as unknown as { metadata: { annotations: Record<string, string> } };
    assert.equal(metadata.annotations["example.com/owner"], "ana");
  });

  it("tells the server's own words when it refuses, and names region and mend when a context or the server is not there", async () => {
    const wrong = { split: { ...split(5), paths: [{ path: "no-slash", service: "platform-api" }] } };
    await assert.rejects(apply(5, wrong), /HTTPRoute gateway\/staging-traffic: 422 .*must/s);
    const region = (cluster: object | undefined) => ({ region: { name: "us", postgresUrl: "env:NONE", cluster } });
    await assert.rejects(
      apply(5, region({ context: "mars", kubeconfig: "env:RC_TEST_KUBECONFIG" })),
      /region us, traffic: .* has no context mars; its contexts: traffic; correct cluster.context/,
    );
    await assert.rejects(apply(5, region(undefined)), /region us: no cluster; add cluster/);
    await stopKubernetes(args, "kube-apiserver");
    await assert.rejects(apply(5), /region eu, traffic: .*ECONNREFUSED.*the cluster must answer/);
    cluster = await startKubernetes(args);
    await apply(5);
    assert.equal((await rules())["/healthz *"], "staging-r1/platform-api 95, staging-r2/platform-api 5");
  });
});
