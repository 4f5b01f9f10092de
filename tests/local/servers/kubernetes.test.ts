import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../../local/servers/free-port.ts";
import { askKubernetes } from "../../../local/servers/kubernetes-client.ts";
import {
  findKubernetes,
  removeKubernetes,
  startKubernetes,
  stopKubernetes,
} from "../../../local/servers/kubernetes.ts";
import type { KubernetesArgs, RunningKubernetes } from "../../../local/servers/kubernetes.ts";
import { ensureKubernetes } from "../../../local/toolchain/kubernetes.ts";

const parts = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"] as const;
const absent = "registry.example/absent@sha256:" + "0".repeat(64);

describe("a local Kubernetes control plane", function () {
  this.timeout(300_000);
  let folder: string;
  let args: KubernetesArgs;
  let cluster: RunningKubernetes;

  const ask = (method: string, path: string, body?: object) => askKubernetes(cluster, method, path, body);
  const pod = (name: string, image: string, user?: number) => ({
    metadata: { name },
    spec: {
      restartPolicy: "Never",
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: user ?? 65_532, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        { name: "main", image, securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } } },
      ],
    },
  });
  const pods = "/api/v1/namespaces/closed/pods";
  /** Asks until the answer is wanted; a minute on a busy machine. */
  const until = async <T>(path: string, isWanted: (body: T) => boolean): Promise<T> => {
    for (let left = 600; ; left -= 1) {
      const { body } = await ask("GET", path);
      if (isWanted(body as T)) return body as T;
      assert.ok(left > 0, `${path}: ${JSON.stringify(body)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  interface Pod {
    readonly status: {
      readonly phase?: string;
      readonly containerStatuses?: { state: { waiting?: { reason: string; message: string } } }[];
      readonly conditions?: { type: string; status: string }[];
    };
  }

  before(async function () {
    // On a fresh machine the servers are built first.
    this.timeout(45 * 60_000);
    await ensureKubernetes();
    folder = await mkdtemp(join(tmpdir(), "rc-kubernetes-"));
    args = {
      homeFolder: join(folder, "home"),
      dataFolder: join(folder, "data"),
      region: "eu",
      firstPort: await findFreePort(3),
      absentImages: [absent],
      isTiedToParent: true,
    };
    cluster = await startKubernetes(args);
  });
  after(async () => {
    await removeKubernetes(args);
    await rm(folder, { recursive: true, force: true });
  });

  it("serves the version that was built, to holders of a token only", async () => {
    const { body } = await ask("GET", "/version");
    assert.equal((body as { gitVersion: string }).gitVersion, "v1.36.1");
    assert.equal((await askKubernetes({ ...cluster, token: "guessed" }, "GET", "/version")).status, 401);
    assert.equal((await askKubernetes({ ...cluster, token: "" }, "GET", "/api/v1/nodes")).status, 401);
  });

  it("runs pods of simulated nodes, and refuses in admission what a real cluster refuses", async () => {
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
    await ask("POST", "/api/v1/namespaces", { metadata: { name: "closed", labels } });
    // Pods are admitted once the controllers have made the namespace's account.
    await until<{ kind: string }>("/api/v1/namespaces/closed/serviceaccounts/default", (at) => at.kind !== "Status");
    assert.equal((await ask("POST", pods, pod("sound", "registry.example/any"))).status, 201);
    await until<Pod>(`${pods}/sound`, ({ status }) => status.phase === "Running");
    const root = await ask("POST", pods, pod("root", "registry.example/any", 0));
    assert.equal(root.status, 403);
    assert.match(JSON.stringify(root.body), /violates PodSecurity \\"restricted/);
  });

  it("keeps a pod pending whose image no registry has, and says why", async () => {
    assert.equal((await ask("POST", pods, pod("absent", absent))).status, 201);
    const { status } = await until<Pod>(`${pods}/absent`, (at) => at.status.containerStatuses !== undefined);
    assert.equal(status.phase, "Pending");
    assert.equal(status.containerStatuses?.[0]?.state.waiting?.reason, "ImagePullBackOff");
    assert.match(status.containerStatuses?.[0]?.state.waiting?.message ?? "", /absent@sha256.*not found/);
  });

  it("comes back with its objects and its tokens when the API server was killed", async () => {
    process.kill(findKubernetes(args, "kube-apiserver") ?? assert.fail("no API server"), "SIGKILL");
    while (findKubernetes(args, "kube-apiserver") !== undefined) await new Promise((done) => setTimeout(done, 20));
    const again = await startKubernetes(args);
    assert.equal(again.token, cluster.token);
    assert.equal((await ask("GET", `${pods}/sound`)).status, 200);
  });

  it("dies with the process that started it, however that ends", async () => {
    await stopKubernetes(args);
    const script = `
      import { startKubernetes } from ${JSON.stringify(new URL("../../../local/servers/kubernetes.ts", import.meta.url).href)};
      await startKubernetes(${JSON.stringify(args)});
      console.log("started");
      setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(owner.stdout, "data");
    const pids = parts.map((part) => findKubernetes(args, part));
    assert.ok(pids.every((pid) => pid !== undefined));
    owner.kill("SIGKILL");
    while (parts.some((part) => findKubernetes(args, part) !== undefined))
      await new Promise((done) => setTimeout(done, 20));
    cluster = await startKubernetes(args);
    assert.equal((await ask("GET", `${pods}/sound`)).status, 200);
  });

  it("stops all its servers and leaves nothing of them behind", async () => {
    for (const part of parts) assert.ok(findKubernetes(args, part) !== undefined, part);
    assert.equal(await stopKubernetes(args), true);
    for (const part of parts) assert.equal(findKubernetes(args, part), undefined, part);
    assert.equal(await stopKubernetes(args), false);
    await removeKubernetes(args);
    assert.equal(existsSync(cluster.kubeconfig), false);
    assert.deepEqual(await readdir(args.dataFolder), []);
    assert.deepEqual(await readdir(join(args.homeFolder, "run")), []);
  });
});
