import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import { repositoryFolder } from "../folders.ts";
import type { DockerClient } from "./docker-client.ts";

/** Node of the repository: the containers run what the tests run. */
const nodeBinary = join(repositoryFolder, "node_modules", "node", "bin", "node");

/**
 * Builds, once per Node binary, the layer that all images share: `/node` and the shared libraries it names, about
 * 130 MB and nothing else. No registry is asked.
 * @returns the image's name; its tag is the hash of the files in it
 */
export async function ensureBaseImage(docker: DockerClient): Promise<string> {
  const files = new Map([
    ["/node", nodeBinary],
    ...(await sharedLibraries(nodeBinary)).map((path) => [path, path] as const),
  ]);
  const hash = createHash("sha256");
  for (const [target, path] of files) {
    hash.update(`${target}\0`);
    await pipeline(createReadStream(path), async (chunks) => {
      for await (const chunk of chunks) hash.update(chunk as Buffer);
    });
  }
  const name = `rc/base:node-${hash.digest("hex").slice(0, 12)}`;
  if ((await docker.findImage(name)) !== undefined) return name;

  const folder = await mkdtemp(join(tmpdir(), "rc-base-"));
  try {
    for (const [target, path] of files) {
      await mkdir(dirname(join(folder, "root", target)), { recursive: true });
      await copyFile(path, join(folder, "root", target));
    }
    await writeFile(join(folder, "Dockerfile"), 'FROM scratch\nCOPY root /\nENTRYPOINT ["/node"]\n');
    await docker.build(folder, name);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return name;
}

/** Paths of the shared libraries and the loader, as the loader itself resolves them. */
async function sharedLibraries(binary: string): Promise<string[]> {
  const { stdout } = await execa("ldd", [binary]);
  if (stdout.includes("not found")) throw new Error(`${binary} misses a library:\n${stdout}\nInstall libstdc++6.`);
  // `name => /path (0x..)` or `/path (0x..)`; linux-vdso has no file.
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] as string).sort();
}
