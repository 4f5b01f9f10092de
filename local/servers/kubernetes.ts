import { generateKeyPairSync } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { ensureDataFolder } from "../folders.ts";
import { ensureKubernetes } from "../toolchain/kubernetes.ts";
import { askKubernetes } from "./kubernetes-client.ts";
import type { KubernetesAccess } from "./kubernetes-client.ts";
import { findSecretFile, randomSecret, writeSecretFile } from "./secret-file.ts";
import { findProcess, startProcess, stopProcess, waitUntilReady } from "./server-process.ts";
import type { ProcessMark } from "./server-process.ts";
import { nodeObject, podStages } from "./simulated-kubelet.ts";
import type { SimulatedNode } from "./simulated-kubelet.ts";

export interface KubernetesArgs {
  /** `.local` folder: gets logs, pid files, tokens and the kubeconfig. */
  readonly homeFolder: string;
  /** Parent of the data folder. */
  readonly dataFolder: string;
  /** Region that the cluster is of: its name in folders, and the context in the kubeconfig. */
  readonly region: string;
  /** First of three free ports: API server, store, the store's own traffic. */
  readonly firstPort: number;
  /** @default four nodes in two zones, 16 cores and 32 GiB each */
  readonly nodes?: readonly SimulatedNode[];
  /** Images that no registry has: pods with them stay pending. @default none */
  readonly absentImages?: readonly string[];
  /** Whether the servers die with this process. @default false */
  readonly isTiedToParent?: boolean;
}

export interface RunningKubernetes extends KubernetesAccess {
  /** File for KUBECONFIG; its only context has the region's name. */
  readonly kubeconfig: string;
}

type Place = Pick<KubernetesArgs, "homeFolder" | "dataFolder" | "region">;
type Part = "etcd" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" | "kwok";

/** In the order in which they start; each needs those before it. */
const parts: readonly Part[] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"];

const clusterFolder = ({ dataFolder, region }: Place): string => join(dataFolder, `kubernetes-${region}`);
const secretFile = ({ homeFolder, region }: Place, name: string): string =>
  join(homeFolder, "secrets", `kubernetes-${region}`, name);
const logFile = ({ homeFolder, region }: Place, part: Part): string =>
  join(homeFolder, "log", `kubernetes-${region}-${part}.log`);
const markOf = (place: Place, part: Part): ProcessMark => ({
  pidFile: join(place.homeFolder, "run", `kubernetes-${place.region}-${part}.pid`),
  inCommandLine: part === "etcd" ? clusterFolder(place) : secretFile(place, ""),
});

/** Pid of one server of the region's cluster, or undefined when it does not run. */
export const findKubernetes = (place: Place, part: Part): number | undefined => findProcess(markOf(place, part));

/**
 * Starts one real control plane with simulated nodes, or starts again what of it does not run: API server, store, controllers and
 * scheduler are Kubernetes' own, with all its admission; only the kubelets are played. Nothing but 127.0.0.1 is listened on.
 * Its data lasts until `dataFolder` is removed.
 * @throws {Error} with the end of a server's log when it does not come up
 */
export async function startKubernetes(args: KubernetesArgs): Promise<RunningKubernetes> {
  const binaries = await ensureKubernetes();
  const server = `https://127.0.0.1:${args.firstPort}`;
  const store = `http://127.0.0.1:${args.firstPort + 1}`;
  const peer = `http://127.0.0.1:${args.firstPort + 2}`;
  const data = clusterFolder(args);
  const certificates = secretFile(args, "certificates");
  const secrets = await ensureSecrets(args);
  await ensureDataFolder(args.dataFolder);
  await mkdir(data, { recursive: true, mode: 0o700 });

  await start(args, "etcd", binaries.etcd, [
    ...["--name", "local", "--data-dir", join(data, "etcd"), "--unsafe-no-fsync"],
    ...["--listen-client-urls", store, "--advertise-client-urls", store],
    ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `local=${peer}`],
  ]);
  await ready(args, "etcd", async () => (await fetch(`${store}/health`)).ok);

  await start(args, "kube-apiserver", binaries.apiServer, [
    `--etcd-servers=${store}`,
    ...["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", `--secure-port=${args.firstPort}`],
    // Made on first use; the authority behind it stands in the same file.
    `--cert-dir=${certificates}`,
    `--token-auth-file=${secretFile(args, "tokens.csv")}`,
    ...["--authorization-mode=Node,RBAC", "--anonymous-auth=false", "--service-cluster-ip-range=10.96.0.0/16"],
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${secretFile(args, "service-accounts.pem")}`,
    `--service-account-signing-key-file=${secretFile(args, "service-accounts.pem")}`,
    // Debian's etcd tells no progress of a watch: clients that begin with a watch would wait a minute and then list after all.
    "--feature-gates=WatchList=false",
    // The address of a loopback is none that an Endpoints object may hold.
    "--endpoint-reconciler-type=none",
  ]);
  const certificateFile = join(certificates, "apiserver.crt");
  const access = async (): Promise<KubernetesAccess> => ({
    server,
    authority: await readFile(certificateFile, "utf8"),
    token: secrets.admin,
  });
  await ready(args, "kube-apiserver", async () => {
    return (await askKubernetes(await access(), "GET", "/readyz")).status === 200;
  });

  const { authority, token } = await access();
  const configs = new Map<string, string>();
  for (const [user, secret] of Object.entries(secrets)) {
    const file = secretFile(args, `${user}.kubeconfig`);
    await writeSecretFile(file, kubeconfigOf(args.region, server, authority, secret));
    configs.set(user, file);
  }
  const asUser = (user: string): string[] => {
    const file = configs.get(user) ?? "";
    return ["", "authentication-", "authorization-"].map((kind) => `--${kind}kubeconfig=${file}`);
  };
  await start(args, "kube-controller-manager", binaries.controllerManager, [
    ...asUser("controller-manager"),
    ...["--secure-port=0", "--leader-elect=false", "--use-service-account-credentials=true"],
    `--service-account-private-key-file=${secretFile(args, "service-accounts.pem")}`,
    `--root-ca-file=${certificateFile}`,
  ]);
  await start(args, "kube-scheduler", binaries.scheduler, [
    ...asUser("scheduler"),
    ...["--secure-port=0", "--leader-elect=false"],
  ]);
  const stages = secretFile(args, "stages.yaml");
  await writeFile(
    stages,
    podStages(args.absentImages)
      .map((stage) => stringify(stage))
      .join("---\n"),
  );
  await start(args, "kwok", binaries.kwok, [
    ...[`--kubeconfig=${configs.get("admin") ?? ""}`, `--config=${stages}`, "--manage-all-nodes=true"],
    // Without heartbeats the controllers take every node for lost after 50 s.
    "--node-lease-duration-seconds=40",
  ]);
  await ensureNodes({ server, authority, token }, args.nodes ?? defaultNodes(args.region));
  await ready(args, "kwok", () => areNodesReady({ server, authority, token }));
  return { server, authority, token, kubeconfig: configs.get("admin") ?? "" };
}

/** Stops one server of a cluster, or all of them, the last one first. @returns whether any ran */
export async function stopKubernetes(place: Place, only?: Part): Promise<boolean> {
  let ran = false;
  for (const part of only === undefined ? [...parts].reverse() : [only])
    ran = (await stopProcess(markOf(place, part))) || ran;
  return ran;
}

/** Stops the cluster and forgets what was in it. */
export async function removeKubernetes(place: Place): Promise<void> {
  await stopKubernetes(place);
  await rm(clusterFolder(place), { recursive: true, force: true });
  await rm(secretFile(place, ""), { recursive: true, force: true });
}

const defaultNodes = (region: string): SimulatedNode[] =>
  ["a", "a", "b", "b"].map((zone, index) => ({
    name: `${region}-${zone}${index}`,
    zone: `${region}-${zone}`,
    cpuCores: 16,
    memoryMib: 32_768,
  }));

async function start(args: KubernetesArgs, part: Part, command: string, words: readonly string[]): Promise<void> {
  const mark = markOf(args, part);
  if (findProcess(mark) !== undefined) return;
  startProcess({
    ...mark,
    command,
    arguments: words,
    logFile: logFile(args, part),
    isTiedToParent: args.isTiedToParent,
  });
}

const ready = (args: KubernetesArgs, part: Part, isReady: () => Promise<boolean>): Promise<void> =>
  waitUntilReady({ ...markOf(args, part), name: part, logFile: logFile(args, part), timeoutMs: 180_000, isReady });

/** Tokens by user, made on first use, and the key that signs those of service accounts. */
async function ensureSecrets(
  place: Place,
): Promise<Readonly<Record<"admin" | "controller-manager" | "scheduler", string>>> {
  const key = secretFile(place, "service-accounts.pem");
  if (!existsSync(key)) {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    await writeSecretFile(key, privateKey.export({ type: "pkcs8", format: "pem" }) as string);
  }
  const file = secretFile(place, "tokens.csv");
  const known = await findSecretFile(file);
  const tokens = known?.split("\n").map((line) => line.split(",")[0] ?? "") ?? [
    ...["admin", "controller-manager", "scheduler"].map(randomSecret),
  ];
  const [admin = "", manager = "", scheduler = ""] = tokens;
  if (known === undefined)
    await writeSecretFile(
      file,
      [
        `${admin},admin,admin,system:masters`,
        `${manager},system:kube-controller-manager,controller-manager`,
        `${scheduler},system:kube-scheduler,scheduler`,
      ].join("\n"),
    );
  return { admin, "controller-manager": manager, scheduler };
}

function kubeconfigOf(region: string, server: string, authority: string | Buffer, token: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: region,
        cluster: { server, "certificate-authority-data": Buffer.from(authority).toString("base64") },
      },
    ],
    users: [{ name: region, user: { token } }],
    contexts: [{ name: region, context: { cluster: region, user: region } }],
    "current-context": region,
  });
}

/** @throws naming the node that was not accepted */
async function ensureNodes(access: KubernetesAccess, nodes: readonly SimulatedNode[]): Promise<void> {
  for (const node of nodes) {
    const { status, body } = await askKubernetes(access, "POST", "/api/v1/nodes", nodeObject(node));
    if (status !== 201 && status !== 409)
      throw new Error(`${access.server} did not take node ${node.name}: ${status} ${JSON.stringify(body)}`);
  }
}

async function areNodesReady(access: KubernetesAccess): Promise<boolean> {
  const { body } = await askKubernetes(access, "GET", "/api/v1/nodes");
  const { items = [] } = body as { items?: { status?: { conditions?: { type: string; status: string }[] } }[] };
  return items.every((node) =>
    node.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
  );
}
