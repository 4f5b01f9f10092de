import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { repositoryFolder } from "../../local/folders.ts";
import { findFreePort } from "../../local/servers/free-port.ts";
import { askKubernetes } from "../../local/servers/kubernetes-client.ts";
import type { KubernetesAnswer } from "../../local/servers/kubernetes-client.ts";
import { removeKubernetes, startKubernetes, stopKubernetes } from "../../local/servers/kubernetes.ts";
import type { KubernetesArgs, RunningKubernetes } from "../../local/servers/kubernetes.ts";
import { ensureKubernetesPlugin } from "../../local/toolchain/kubernetes-plugin.ts";
import { ensureKubernetes } from "../../local/toolchain/kubernetes.ts";
import { getRelease } from "../../releases/catalog.ts";
import { ProgramStack } from "../plugins/program-stack.ts";

/** Minutes that a first test on a fresh machine may take: it builds the servers and the provider. */
export const buildMinutes = 45;

/** Name of a service's image, as pods name it; `absent` is one that no registry has. */
export const imageOf = (service: string, digit = "1"): string =>
  `images.example/rc/${service}@sha256:${digit.repeat(64)}`;
const absentDigit = "0";

/** The program: one region's runtime as components/platform.ts opens it, with servers that are only named. */
const program = `
import * as pulumi from "@pulumi/pulumi";
import { openKubernetes } from "./components/runtime-kubernetes.ts";
import { readImages } from "./components/images.ts";
import { getRelease } from "./releases/catalog.ts";
import { releaseTarget } from "./releases/target.ts";
const { releases, hasKeeper, startSeconds } = JSON.parse(process.env.RC_TEST_KNOBS);
const environment = { name: "staging", images: "env:RC_IMAGES_FILE" };
const region = { name: "eu", cluster: { context: "eu", kubeconfig: "env:RC_KUBECONFIG" } };
const runtime = openKubernetes(environment, region, {});
const images = readImages(environment.images);
const login = (role) => ({ role, password: pulumi.secret("hunter2") });
const database = { port: 5432, hostAndPort: "db.example:5432", urlOptions: "", registryDatabase: pulumi.output("rc_registry"),
  logins: { platform_r1: login("platform_r1"), platform_r2: login("platform_r2") }, keeperLogin: login("rc_keeper") };
const vaultLogin = { roleId: pulumi.output("role"), secretId: pulumi.secret("hunter2") };
const secrets = { address: pulumi.output("https://vault.example:8200"), port: pulumi.output(8200), transitMount: pulumi.output("transit-staging"),
  logins: { r2: vaultLogin }, keeperLogin: vaultLogin };
for (const id of releases) {
  const whole = getRelease(id);
  const services = whole.services.map((one) => ({ ...one, probes: { ...one.probes, ...(startSeconds ? { startSeconds } : {}) } }));
  const release = { ...whole, services };
  runtime.fleet(id + "-eu", { environment: environment.name, release, target: releaseTarget(whole), images, probeTenant: "probe-" + id, database, secrets }, {});
}
if (hasKeeper) runtime.keeper("eu-keeper", { environment: environment.name, region: "eu", image: images.keeper, database, secrets }, {});
`;

export interface Knobs {
  readonly releases: readonly ("r1" | "r2")[];
  readonly hasKeeper?: boolean;
  /** Images that no registry has, by `<release>/<service>`. */
  readonly absent?: readonly string[];
  /** Digit that all other digests consist of; another one is another image. @default "1" */
  readonly digit?: string;
  /** Seconds that every service may take to start, instead of the release's own. */
  readonly startSeconds?: number;
}

/** The real components, applied by the real CLI and the real provider to a real API server. */
export class ClusterStack {
  readonly stack: ProgramStack;
  cluster: RunningKubernetes;
  readonly #folder: string;
  readonly #args: KubernetesArgs;

  private constructor(folder: string, args: KubernetesArgs, stack: ProgramStack, cluster: RunningKubernetes) {
    this.#folder = folder;
    this.#args = args;
    this.stack = stack;
    this.cluster = cluster;
  }

  static async start(): Promise<ClusterStack> {
    await ensureKubernetes();
    const plugin = await ensureKubernetesPlugin();
    const folder = await mkdtemp(join(tmpdir(), "rc-cluster-"));
    const args = {
      homeFolder: join(folder, "home"),
      dataFolder: join(folder, "data"),
      region: "eu",
      firstPort: await findFreePort(3),
      absentImages: getRelease("r2").services.map(({ name }) => imageOf(name, absentDigit)),
      isTiedToParent: true,
    };
    const cluster = await startKubernetes(args);
    const stack = await ProgramStack.create();
    for (const name of ["components", "releases", "migrations"])
      await symlink(join(repositoryFolder, name), join(stack.folder, "program", name));
    stack.env["PATH"] = [plugin, stack.env["PATH"]].join(delimiter);
    stack.env["RC_KUBECONFIG"] = cluster.kubeconfig;
    stack.env["RC_IMAGES_FILE"] = join(folder, "images.json");
    return new ClusterStack(folder, args, stack, cluster);
  }

  async up(knobs: Knobs) {
    await this.#turn(knobs);
    return this.stack.up(program);
  }

  async preview(knobs: Knobs) {
    await this.#turn(knobs);
    return this.stack.preview(program);
  }

  ask(method: string, path: string, body?: object, type?: string): Promise<KubernetesAnswer> {
    return askKubernetes(this.cluster, method, path, body, type);
  }

  /** Objects of a list. @param path e.g. `/apis/apps/v1/deployments` */
  async list<T>(path: string): Promise<T[]> {
    const { status, body } = await this.ask("GET", path);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    return (body as { items: T[] }).items;
  }

  /** The API server is away until `startAgain`. */
  async stop(): Promise<void> {
    await stopKubernetes(this.#args, "kube-apiserver");
  }

  async startAgain(): Promise<void> {
    this.cluster = await startKubernetes(this.#args);
  }

  async end(): Promise<void> {
    await removeKubernetes(this.#args);
    await this.stack.remove();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #turn({ absent = [], digit = "1", ...knobs }: Knobs): Promise<void> {
    const images: Record<string, { image: string; digest: string }> = {};
    for (const release of ["r1", "r2"])
      for (const { name } of getRelease(release).services) {
        const own = absent.includes(`${release}/${name}`) ? absentDigit : digit;
        images[`${release}/${name}`] = { image: imageOf(name, own), digest: `sha256:${own.repeat(64)}` };
      }
    images["keeper"] = { image: imageOf("keeper", digit), digest: `sha256:${digit.repeat(64)}` };
    await writeFile(this.stack.env["RC_IMAGES_FILE"] as string, JSON.stringify(images));
    this.stack.env["RC_TEST_KNOBS"] = JSON.stringify(knobs);
  }
}
