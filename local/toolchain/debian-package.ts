import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { cacheFolder } from "../folders.ts";
import { withLock } from "./cache-lock.ts";

/** A program that Debian packages in a version that does. */
export interface DebianPackage {
  readonly name: string;
  /** Path of its binary in the package. */
  readonly binary: string;
}

/**
 * Downloads and unpacks a package into the cache on first use; nothing is installed.
 * @returns path of the binary
 * @throws {Error} when apt-get is missing or finds no package
 */
export async function ensureDebianPackage({ name, binary: path }: DebianPackage): Promise<string> {
  const folder = join(cacheFolder(), name);
  const binary = join(folder, path);
  if (existsSync(binary)) return binary;
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(binary)) return;
    const downloads = await mkdtemp(join(tmpdir(), `rc-${name}-`));
    // apt-get fetches as its own account.
    await chmod(downloads, 0o777);
    try {
      await download(name, downloads);
      const unfinished = `${folder}.new`;
      await rm(unfinished, { recursive: true, force: true });
      await mkdir(unfinished, { recursive: true });
      for (const file of await readdir(downloads))
        if (file.endsWith(".deb")) await execa("dpkg", ["-x", join(downloads, file), unfinished]);
      await rm(folder, { recursive: true, force: true });
      await rename(unfinished, folder);
    } finally {
      await rm(downloads, { recursive: true, force: true });
    }
  });
  return binary;
}

async function download(name: string, folder: string): Promise<void> {
  const get = () => execa("apt-get", ["download", "--quiet", name], { cwd: folder, reject: false, stdin: "ignore" });
  let result = await get();
  if (result.failed) {
    await execa("apt-get", ["update", "--quiet"], { reject: false, stdin: "ignore" });
    result = await get();
  }
  if (!result.failed) return;
  const why = String(result.stderr ?? result.shortMessage)
    .trim()
    .split("\n")
    .at(-1);
  throw new Error(`apt-get could not download ${name}: ${why ?? ""}; check that apt's lists name it`);
}
