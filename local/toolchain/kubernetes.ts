import { join } from "node:path";
import { ensureDebianPackage } from "./debian-package.ts";
import type { GoBuild } from "./go-build.ts";
import { resolveTool } from "./resolve-tool.ts";
import type { Tool } from "./tool.ts";

const version = "1.36.1";

const servers = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] as const;

/** The servers of a Kubernetes control plane. */
export const kubernetesTool: Tool = {
  name: "kubernetes",
  version,
  binaries: servers,
  versionArguments: ["--version"],
  accepts: "~1.36.1",
  download: {
    url: `https://dl.k8s.io/v${version}/kubernetes-server-linux-amd64.tar.gz`,
    folder: "kubernetes/server/bin",
  },
  builds: servers.map((binary): GoBuild => ({
    name: "kubernetes",
    version,
    package: `k8s.io/kubernetes/cmd/${binary}`,
    binary,
    // Without it the API server calls itself v0.0.0, which clients take for too old.
    linkerFlags: `-X k8s.io/component-base/version.gitVersion=v${version}`,
  })),
};

const kwokVersion = "0.7.0";

/** Plays the kubelets of nodes that do not exist: the pods there have a life as told by its stages. */
export const kwokTool: Tool = {
  name: "kwok",
  version: kwokVersion,
  binaries: ["kwok"],
  versionArguments: ["--version"],
  accepts: `~${kwokVersion}`,
  download: {
    url: `https://github.com/kubernetes-sigs/kwok/releases/download/v${kwokVersion}/kwok-linux-amd64`,
    folder: "",
    binary: "kwok",
  },
  builds: [{ name: "kwok", version: kwokVersion, package: "sigs.k8s.io/kwok/cmd/kwok", binary: "kwok" }],
};

/** Paths of what a cluster runs on. */
export interface KubernetesBinaries {
  readonly etcd: string;
  readonly apiServer: string;
  readonly controllerManager: string;
  readonly scheduler: string;
  readonly kwok: string;
}

let resolved: Promise<KubernetesBinaries> | undefined;

/**
 * Brings the servers of a cluster into the cache, once a process. `make up` does without them: who needs a cluster waits for the
 * builds, about ten minutes on two cores where nothing can be downloaded.
 */
export function ensureKubernetes(onProgress: (text: string) => void = () => undefined): Promise<KubernetesBinaries> {
  resolved ??= (async () => {
    const etcd = await ensureDebianPackage({ name: "etcd-server", binary: "usr/bin/etcd" });
    const folderOf = async (tool: Tool, binary: string): Promise<string> => {
      const { binFolders } = await resolveTool(tool, onProgress);
      return join(binFolders[tool.binaries.length === binFolders.length ? tool.binaries.indexOf(binary) : 0]!, binary);
    };
    return {
      etcd,
      apiServer: await folderOf(kubernetesTool, "kube-apiserver"),
      controllerManager: await folderOf(kubernetesTool, "kube-controller-manager"),
      scheduler: await folderOf(kubernetesTool, "kube-scheduler"),
      kwok: await folderOf(kwokTool, "kwok"),
    };
  })();
  return resolved;
}
