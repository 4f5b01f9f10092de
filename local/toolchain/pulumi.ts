import { join } from "node:path";
import { repositoryFolder } from "../folders.ts";
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

/**
 * The newest language host that is a Go module of its own; it runs under the newer CLI, which hands over the options of
 * Pulumi.yaml in a call that this host does not know yet. The script in its place passes the one that matters.
 */
const languageHost: GoBuild = {
  name: "nodejs-host",
  version: "3.68.0",
  package: "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
  moduleFolder: join(repositoryFolder, "local", "toolchain", "language-nodejs"),
  binary: "nodejs-host",
  scripts: [
    { module: "github.com/pulumi/pulumi/sdk/v3", paths: ["nodejs/dist/pulumi-resource-pulumi-nodejs"] },
    { module: "release-coordinator/toolchain/language-nodejs", paths: ["pulumi-language-nodejs"] },
  ],
};

/** Pulumi's CLI, its language host for Node and the launcher of dynamic providers. */
export const pulumiTool: Tool = {
  name: "pulumi",
  version,
  cacheName: "pulumi-with-host",
  binaries: ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"],
  versionArguments: ["version"],
  accepts: ">=3.250.0 <4",
  download: { url: `https://get.pulumi.com/releases/sdk/pulumi-v${version}-linux-x64.tar.gz`, folder: "pulumi" },
  builds: [cli, languageHost],
};
