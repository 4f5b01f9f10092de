import { existsSync } from "node:fs";
import { chmod, mkdtemp, readFile, readdir, rename, rm, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { cacheFolder } from "../folders.ts";
import { withLock } from "./cache-lock.ts";

/** Debian's packages that hold the engine and the libraries a small system may lack; nothing is installed. */
const packages = ["docker.io", "containerd", "runc", "libdevmapper1.02.1", "libseccomp2", "tini"];
/** The client is a package of its own from Debian 13 on. */
const packagesOfLaterDebian = ["docker-cli"];

/** The unpacked engine. */
export interface DockerEngine {
  /** Folders with `dockerd`, `containerd`, `runc` and `docker`. */
  readonly binFolders: readonly string[];
  /** Folders of shared libraries, for LD_LIBRARY_PATH. */
  readonly libraryFolders: readonly string[];
}

async function engineFolder(): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const field = (name: string): string => release.match(new RegExp(`^${name}="?([^"\n]+)`, "m"))?.[1] ?? "unknown";
  return join(cacheFolder(), `docker-engine-${field("ID")}${field("VERSION_ID")}`);
}

function engineIn(folder: string): DockerEngine {
  return {
    binFolders: ["usr/sbin", "usr/bin"].map((path) => join(folder, path)),
    libraryFolders: ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"].map((path) => join(folder, path)),
  };
}

/** Whether the engine has been unpacked before. */
export const isDockerEngineCached = async (): Promise<boolean> =>
  existsSync(join(await engineFolder(), "usr", "sbin", "dockerd"));

/**
 * Downloads and unpacks Debian's Docker engine into the cache on first use.
 * @throws {Error} when apt-get is missing or finds no package
 */
export async function ensureDockerEngine(onProgress: (text: string) => void = () => undefined): Promise<DockerEngine> {
  const folder = await engineFolder();
  const dockerd = join(folder, "usr", "sbin", "dockerd");
  if (existsSync(dockerd)) return engineIn(folder);
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(dockerd)) return;
    const downloads = await mkdtemp(join(tmpdir(), "rc-docker-"));
    // apt-get fetches as its own account.
    await chmod(downloads, 0o777);
    try {
      onProgress("docker: downloading Debian's packages");
      await downloadPackages(downloads, onProgress);
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
  return engineIn(folder);
}

async function downloadPackages(folder: string, onProgress: (text: string) => void): Promise<void> {
  const download = (names: readonly string[]) =>
    execa("apt-get", ["download", "--quiet", ...names], { cwd: folder, reject: false, stdin: "ignore" });
  let result = await download(packages);
  if (result.failed) {
    onProgress("docker: refreshing apt's lists");
    await execa("apt-get", ["update", "--quiet"], { reject: false, stdin: "ignore" });
    result = await download(packages);
  }
  if (result.failed)
    throw new Error(
      `apt-get could not download ${packages.join(", ")}: ${result.stderr.trim().split("\n").at(-1) ?? ""}; ` +
        "install Docker yourself and start it (`apt-get install docker.io`), then run `make up` again",
    );
  for (const name of packagesOfLaterDebian) await download([name]);
}
