import type { GoBuild } from "./go-build.ts";
import type { Tool } from "./tool.ts";

const version = "3.250.0";

const cli: GoBuild = {
  name: "pulumi",
  version,
  package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
  binary: "pulumi",
  // Without it the CLI calls itself 3.0.0-dev and refuses the state of newer ones.
  linkerFlags: `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${version}`,
};

/** The newest language host that is a Go module of its own; it runs under the newer CLI. */
const languageHost: GoBuild = {
  name: "language-nodejs",
  version: "3.68.0",
  package: "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
  binary: "pulumi-language-nodejs",
  scripts: { module: "github.com/pulumi/pulumi/sdk/v3", paths: ["nodejs/dist/pulumi-resource-pulumi-nodejs"] },
};

/** Pulumi's CLI, its language host for Node and the launcher of dynamic providers. */
export const pulumiTool: Tool = {
  name: "pulumi",
  version,
  binaries: ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"],
  versionArguments: ["version"],
  accepts: ">=3.250.0 <4",
  download: { url: `https://get.pulumi.com/releases/sdk/pulumi-v${version}-linux-x64.tar.gz`, folder: "pulumi" },
  builds: [cli, languageHost],
};
