import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { repositoryFolder } from "../folders.ts";

/** Services that run in a container, in the order of the release data. */
export const IMAGE_SERVICES = ["platform-api", "knowledge-rag", "agent-orchestrator", "observability"] as const;

/** One file of JavaScript, and what it was made of. */
export interface Bundle {
  readonly code: Uint8Array;
  /** sha256, hex, over path and content of every source file that went in; the same in every checkout. */
  readonly source: string;
}

/** Entry file of a service of a release, relative to the repository. @throws Error naming what exists */
export function serviceEntry(service: string, release: string): string {
  const entry = `tests/workload/${release}/${service}.ts`;
  if (!existsSync(join(repositoryFolder, entry))) {
    throw new Error(
      `release ${release} has no ${service}: ${entry} does not exist; services are ${IMAGE_SERVICES.join(", ")}`,
    );
  }
  return entry;
}

/** Entry file of the keeper, or undefined while there is none. */
export function findKeeperEntry(): string | undefined {
  const entry = "coordinator/worker-entry.ts";
  return existsSync(join(repositoryFolder, entry)) ? entry : undefined;
}

/** sha256 of everything a service's image is made from: what the release data states as the service's source. */
export async function sourceHash(service: string, release: string): Promise<string> {
  return (await bundle(serviceEntry(service, release))).source;
}

/** Bundles an entry file with all that it imports into one ES module for Node 24. */
export async function bundle(entry: string): Promise<Bundle> {
  const result = await build({
    absWorkingDir: repositoryFolder,
    entryPoints: [entry],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    metafile: true,
    write: false,
    logLevel: "silent",
    // Optional native driver of pg, asked for by name only when somebody wants it.
    external: ["pg-native"],
    // CommonJS inside an ES module still calls require for Node's own modules.
    banner: {
      js: 'import { createRequire as createRequireOfBundle } from "node:module"; const require = createRequireOfBundle(import.meta.url);',
    },
  });
  const inputs = Object.keys(result.metafile.inputs).sort();
  const hash = createHash("sha256");
  for (const input of inputs) {
    const content = createHash("sha256").update(await readFile(join(repositoryFolder, input)));
    hash.update(`${input}\0${content.digest("hex")}\n`);
  }
  return { code: (result.outputFiles[0] as { contents: Uint8Array }).contents, source: hash.digest("hex") };
}
