import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../../local/servers/free-port.ts";
import { askKubernetes } from "../../../local/servers/kubernetes-client.ts";
import type { KubernetesAnswer } from "../../../local/servers/kubernetes-client.ts";
import { removeKubernetes, startKubernetes, stopKubernetes } from "../../../local/servers/kubernetes.ts";
import type { KubernetesArgs, RunningKubernetes } from "../../../local/servers/kubernetes.ts";
import { gatewayDefinitions } from "../../../local/toolchain/gateway-api.ts";
import { ensureRegistry } from "../../../migrations/registry/registry-schema.ts";
import { Registry } from "../../../migrations/registry/registry.ts";
import type { TrafficRegion } from "../../../migrations/traffic.ts";
import { RegionServer } from "../../region-server.ts";
import { databaseUrl, getVault } from "../../servers.ts";

const group = "/apis/gateway.networking.k8s.io";
/** Where the routes of the environment `clusters` stand. */
export const routePath = `${group}/v1/namespaces/gateway/httproutes/clusters-traffic`;

interface Route {
  readonly spec: { readonly rules: readonly { matches: { headers?: unknown }[]; backendRefs: { weight: number }[] }[] };
}

/** One region: a PostgreSQL with a registry, and an API server with the Gateway API, each to be stopped by itself. */
export class ClusterRegion {
  readonly name: string;
  readonly postgres: RegionServer;
  readonly registry: Registry;
  readonly target: TrafficRegion;
  readonly #args: KubernetesArgs;
  readonly #folder: string;
  #cluster: RunningKubernetes;

  private constructor(
    name: string,
    postgres: RegionServer,
    folder: string,
    args: KubernetesArgs,
    cluster: RunningKubernetes,
  ) {
    const upper = name.toUpperCase();
    const { address, token } = getVault();
    Object.assign(process.env, {
      [`DRILL_${upper}_POSTGRES_URL`]: postgres.url,
      [`DRILL_${upper}_KUBECONFIG`]: cluster.kubeconfig,
      DRILL_VAULT_ADDR: address,
      DRILL_VAULT_TOKEN: token,
    });
    this.name = name;
    this.postgres = postgres;
    this.registry = new Registry(databaseUrl("rc_registry", postgres.url));
    this.target = {
      name,
      postgresUrl: `env:DRILL_${upper}_POSTGRES_URL`,
      vaultAddress: "env:DRILL_VAULT_ADDR",
      vaultToken: "env:DRILL_VAULT_TOKEN",
      cluster: { context: `drill-${name}`, kubeconfig: `env:DRILL_${upper}_KUBECONFIG` },
    };
    this.#folder = folder;
    this.#args = args;
    this.#cluster = cluster;
  }

  static async start(name: string): Promise<ClusterRegion> {
    const folder = await mkdtemp(join(tmpdir(), `rc-drill-${name}-`));
    const args = {
      homeFolder: join(folder, "home"),
      dataFolder: join(folder, "data"),
      region: `drill-${name}`,
      firstPort: await findFreePort(3),
      isTiedToParent: true,
    };
    const postgres = await RegionServer.start();
    const region = new ClusterRegion(name, postgres, folder, args, await startKubernetes(args));
    await ensureRegistry(databaseUrl("rc_registry", postgres.url), ["platform_r1", "platform_r2"]);
    await region.#define();
    return region;
  }

  ask(method: string, path: string, body?: object, type?: string): Promise<KubernetesAnswer> {
    return askKubernetes(this.#cluster, method, path, body, type);
  }

  /** Share of the newer release that the route gives; 0 without a route. */
  async routedPercent(): Promise<number> {
    const { status, body } = await this.ask("GET", routePath);
    if (status === 404) return 0;
    const rule = (body as Route).spec.rules.find(({ matches }) => matches[0]?.headers === undefined);
    const [, newer] = rule?.backendRefs ?? [];
    if (newer === undefined) throw new Error(`region ${this.name}: the route shares nothing: ${JSON.stringify(body)}`);
    return newer.weight;
  }

  async stopApiServer(): Promise<void> {
    await stopKubernetes(this.#args, "kube-apiserver");
  }

  async startApiServer(): Promise<void> {
    this.#cluster = await startKubernetes(this.#args);
  }

  async end(): Promise<void> {
    await this.registry.close();
    await removeKubernetes(this.#args);
    await this.postgres.end();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #define(): Promise<void> {
    const make = async (path: string, object: object): Promise<void> => {
      const { status, body } = await this.ask("POST", path, object);
      if (status !== 201) throw new Error(`${path}: ${status} ${JSON.stringify(body).slice(0, 300)}`);
    };
    for (const definition of await gatewayDefinitions())
      await make("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
    for (const name of ["gateway", "clusters-r1", "clusters-r2"])
      await make("/api/v1/namespaces", { metadata: { name } });
    const isServed = async () =>
      (await this.ask("GET", `${group}/v1/httproutes`)).status === 200 &&
      (await this.ask("GET", `${group}/v1beta1/referencegrants`)).status === 200;
    while (!(await isServed())) await new Promise((done) => setTimeout(done, 100));
  }
}
