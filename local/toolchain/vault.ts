import { join } from "node:path";
import type { GoBuild } from "./go-build.ts";
import { resolveTool } from "./resolve-tool.ts";
import type { Tool } from "./tool.ts";

const build: GoBuild = {
  name: "vault",
  version: "1.21.1",
  package: "github.com/hashicorp/vault",
  binary: "vault",
  // Keeps transit, kv, pki, approle, userpass, cert, file audit and raft storage; halves the time and the size.
  tags: "minimal",
};

/** HashiCorp Vault. */
export const vaultTool: Tool = {
  name: "vault",
  version: build.version,
  binaries: ["vault"],
  versionArguments: ["version"],
  accepts: ">=1.21.1 <2",
  download: {
    url: `https://releases.hashicorp.com/vault/${build.version}/vault_${build.version}_linux_amd64.zip`,
    folder: "",
  },
  builds: [build],
};

let resolved: Promise<string> | undefined;

/** Path of the Vault binary; resolved once a process. */
export function ensureVault(): Promise<string> {
  resolved ??= resolveTool(vaultTool).then(({ binFolders }) => join(binFolders[0] as string, "vault"));
  return resolved;
}
