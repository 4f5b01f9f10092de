import { copyFile, chmod, cp, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { execa } from "execa";
import { cacheFolder, repositoryFolder } from "../folders.ts";
import { withLock } from "./cache-lock.ts";

/** A binary built from a pinned Go module; the pins are `go.mod` and `go.sum` in `local/toolchain/<name>/`. */
export interface GoBuild {
  /** Stem of the cache folder. */
  readonly name: string;
  readonly version: string;
  /** Folder of go.mod. @default `local/toolchain/<name>` */
  readonly moduleFolder?: string;
  /** Import path of the main package. */
  readonly package: string;
  readonly binary: string;
  /** Linker flags besides `-s -w`, such as `-X path.Version=1.2.3`. */
  readonly linkerFlags?: string;
  readonly tags?: string;
  /** Files of modules (go.mod's own too) that are copied beside the binary and made executable. */
  readonly scripts?: readonly Scripts[];
  /** Files of a module that the main package embeds: they are put beside it in a copy of its folder, which is built. */
  readonly embeds?: Scripts;
  /** A module in go.sum that the public checksum database does not know. */
  readonly unlistedModule?: string;
}

export interface Scripts {
  /** A module that go.mod names, or its own. */
  readonly module: string;
  /** Relative to the module's folder. */
  readonly paths: readonly string[];
}

/** Folder in the cache where the build's binaries are or will be. */
export const buildBinFolder = (build: Pick<GoBuild, "name" | "version">): string =>
  join(cacheFolder(), `${build.name}-${build.version}`, "bin");

/** Names of what the build puts there. */
export const builtFiles = ({ binary, scripts = [] }: Pick<GoBuild, "binary" | "scripts">): readonly string[] => [
  binary,
  ...scripts.flatMap(({ paths }) => paths.map((path) => basename(path))),
];

/**
 * Builds the binary into the cache unless it is there; a killed build leaves nothing that looks finished, and two at
 * once build once.
 * @param onProgress gets one short line now and then
 * @throws {Error} with the compiler's last words
 */
export async function buildGo(build: GoBuild, onProgress: (text: string) => void): Promise<void> {
  const folder = build.moduleFolder ?? join(repositoryFolder, "local", "toolchain", build.name);
  const binFolder = buildBinFolder(build);
  await mkdir(binFolder, { recursive: true });
  const lock = join(cacheFolder(), `${build.name}-${build.version}.lock`);
  const waiting = (): void => onProgress(`${build.binary}: another process is building it, waiting`);
  await withLock(
    lock,
    async () => {
      if (!existsSync(join(binFolder, build.binary))) {
        onProgress(`${build.binary} ${build.version}: building, which takes minutes when Go's cache is cold`);
        await withEmbeds(build, folder, (within) => compile(build, within, binFolder, onProgress));
      }
      for (const scripts of build.scripts ?? []) await copyScripts(scripts, folder, binFolder);
    },
    waiting,
  );
}

/** GOWORK off: a go.work in a parent folder of the checkout must not change what is built. */
const environmentOf = ({ unlistedModule }: GoBuild): Readonly<Record<string, string>> => ({
  GOWORK: "off",
  ...(unlistedModule === undefined ? {} : { GONOSUMDB: unlistedModule }),
});

/** Runs `work` in the module's folder, or in a copy with the embedded files, so that the checkout stays as it is. */
async function withEmbeds(build: GoBuild, folder: string, work: (folder: string) => Promise<void>): Promise<void> {
  const { embeds } = build;
  if (embeds === undefined) return work(folder);
  const copy = await mkdtemp(join(tmpdir(), `rc-${build.name}-`));
  try {
    await cp(folder, copy, { recursive: true });
    const options = { cwd: copy, env: environmentOf(build) };
    await execa("go", ["mod", "download", embeds.module], options);
    const { stdout: source } = await execa("go", ["list", "-m", "-f", "{{.Dir}}", embeds.module], options);
    for (const path of embeds.paths) {
      const file = join(copy, basename(path));
      await copyFile(join(source, path), file);
      await chmod(file, 0o644);
    }
    await work(copy);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function compile(
  build: GoBuild,
  folder: string,
  binFolder: string,
  onProgress: (text: string) => void,
): Promise<void> {
  const unfinished = join(binFolder, `.${build.binary}.unfinished`);
  const flags = [
    "-v",
    "-ldflags",
    `-s -w ${build.linkerFlags ?? ""}`.trimEnd(),
    ...(build.tags ? ["-tags", build.tags] : []),
  ];
  const process = execa("go", ["build", ...flags, "-o", unfinished, build.package], {
    cwd: folder,
    env: environmentOf(build),
    reject: false,
    buffer: false,
    stdout: "ignore",
    stdin: "ignore",
  });
  let packages = 0;
  const lastLines: string[] = [];
  // With -v go names each package as it is compiled, and before that each module as it is downloaded.
  for await (const line of process.iterable({ from: "stderr" })) {
    lastLines.push(line);
    if (lastLines.length > 12) lastLines.shift();
    if (line.startsWith("go: downloading")) onProgress(`${build.binary}: ${line.slice("go: ".length)}`);
    else onProgress(`${build.binary}: compiled ${++packages} packages, last ${line}`);
  }
  const { exitCode } = await process;
  if (exitCode !== 0) {
    await rm(unfinished, { force: true });
    throw new Error(
      `go build of ${build.package} ${build.version} failed (exit code ${exitCode ?? "none"}); ` +
        `run \`cd ${folder} && go build ${build.package}\` to see it alone. Its last lines:\n${lastLines.join("\n")}`,
    );
  }
  await rename(unfinished, join(binFolder, build.binary));
}

async function copyScripts(scripts: Scripts, folder: string, binFolder: string): Promise<void> {
  const missing = scripts.paths.filter((path) => !existsSync(join(binFolder, path.slice(path.lastIndexOf("/") + 1))));
  if (missing.length === 0) return;
  const { stdout } = await execa("go", ["list", "-m", "-f", "{{.Dir}}", scripts.module], {
    cwd: folder,
    env: { GOWORK: "off" },
  });
  for (const path of missing) {
    const target = join(binFolder, path.slice(path.lastIndexOf("/") + 1));
    const unfinished = `${target}.unfinished`;
    await copyFile(join(stdout, path), unfinished);
    // Go's module cache holds files read-only and not executable.
    await chmod(unfinished, 0o755);
    await rename(unfinished, target);
  }
}
