import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { parseAllDocuments } from "yaml";
import { repositoryFolder } from "../folders.ts";

/** A definition as the API server takes it. */
export interface Definition {
  readonly kind: string;
  readonly metadata: { readonly name: string };
}

/**
 * The Gateway API's standard resource definitions, from the Go module that `local/toolchain/gateway-api/go.mod` pins; Go keeps it
 * in its own cache.
 * @throws {Error} Go's words when the module cannot be had, or is not the one of go.sum
 */
export async function gatewayDefinitions(): Promise<readonly Definition[]> {
  const options = { cwd: join(repositoryFolder, "local", "toolchain", "gateway-api"), env: { GOWORK: "off" } };
  const { stdout } = await execa("go", ["mod", "download", "-json", "sigs.k8s.io/gateway-api"], options);
  const { Dir: folder } = JSON.parse(stdout) as { Dir: string };
  const crds = join(folder, "config", "crd", "standard");
  const files = (await readdir(crds)).filter((name) => name.endsWith(".yaml")).sort();
  const texts = await Promise.all(files.map((name) => readFile(join(crds, name), "utf8")));
  return texts
    .flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as Definition | null))
    .filter((object): object is Definition => object?.kind === "CustomResourceDefinition");
}
