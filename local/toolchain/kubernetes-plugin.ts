import { resolveTool } from "./resolve-tool.ts";
import type { Tool } from "./tool.ts";

const version = "4.25.0";
const module = "github.com/pulumi/pulumi-kubernetes/provider/v4";

/** Pulumi's real provider of Kubernetes, in the version of the npm package. */
export const kubernetesPluginTool: Tool = {
  name: "pulumi-resource-kubernetes",
  version,
  binaries: ["pulumi-resource-kubernetes"],
  versionArguments: ["--version"],
  accepts: version,
  download: {
    url: `https://get.pulumi.com/releases/plugins/pulumi-resource-kubernetes-v${version}-linux-amd64.tar.gz`,
    folder: "",
  },
  builds: [
    {
      name: "plugin-kubernetes",
      version,
      package: ".",
      binary: "pulumi-resource-kubernetes",
      // The module's own main embeds files that its makers generate; ours embeds the two that it ships.
      embeds: {
        module,
        paths: ["cmd/pulumi-resource-kubernetes/schema.json", "cmd/pulumi-resource-kubernetes/terraform-mapping.json"],
      },
      // A commit, not a release: the checksum database does not know it; go.sum does.
      unlistedModule: module,
    },
  ],
};

let resolved: Promise<string> | undefined;

/** Folder with the provider, to put on PATH; resolved once a process. `make up` does without it. */
export function ensureKubernetesPlugin(onProgress: (text: string) => void = () => undefined): Promise<string> {
  resolved ??= resolveTool(kubernetesPluginTool, onProgress).then(({ binFolders }) => binFolders[0] as string);
  return resolved;
}
