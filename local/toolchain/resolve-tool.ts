import { existsSync } from "node:fs";
import { link, mkdir } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import semver from "semver";
import { cacheFolder } from "../folders.ts";
import { withLock } from "./cache-lock.ts";
import { buildBinFolder, buildGo, builtFiles } from "./go-build.ts";
import { downloadOfficial } from "./official-download.ts";
import { findBinFolders, findFolderOnPath, toolBinFolder } from "./tool.ts";
import type { Tool, ToolSource } from "./tool.ts";

export interface ResolvedTool {
  readonly tool: Tool;
  readonly source: ToolSource;
  /** Folders to put on PATH. */
  readonly binFolders: readonly string[];
  /** Seconds it took. */
  readonly seconds: number;
}

/** The ways to a tool, each resolving to undefined when it does not lead there; tests give their own. */
export interface ToolWays {
  readonly onPath: (tool: Tool) => Promise<readonly string[] | undefined>;
  readonly inCache: (tool: Tool) => Promise<readonly string[] | undefined>;
  readonly byDownload: (tool: Tool) => Promise<readonly string[] | undefined>;
  readonly byBuild: (tool: Tool, onProgress: (text: string) => void) => Promise<readonly string[]>;
}

/** The version that a binary prints, or undefined when it does not run or prints none. */
export async function findVersion(binary: string, args: readonly string[]): Promise<string | undefined> {
  const { stdout, failed } = await execa(binary, args, { reject: false, timeout: 20_000, stdin: "ignore" });
  return failed ? undefined : (semver.coerce(stdout, { includePrerelease: true })?.version ?? undefined);
}

const realWays: ToolWays = {
  onPath: async (tool) => {
    // Our own cache may be on PATH already (`source .local/env`); that is the cache, not the machine's installation.
    const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => !folder.startsWith(cacheFolder()));
    const folder = findFolderOnPath(tool.binaries[0], folders.join(delimiter));
    if (folder === undefined) return undefined;
    const version = await findVersion(join(folder, tool.binaries[0]), tool.versionArguments);
    if (version === undefined || !semver.satisfies(version, tool.accepts)) return undefined;
    return findBinFolders(tool, [folder, ...folders]);
  },
  inCache: async (tool) => findBinFolders(tool, [toolBinFolder(tool)]),
  byDownload: async (tool) => {
    const lock = `${dirname(toolBinFolder(tool))}.lock`;
    if (!(await withLock(lock, () => downloadOfficial(tool.download, toolBinFolder(tool))))) return undefined;
    return findBinFolders(tool, [toolBinFolder(tool)]);
  },
  byBuild: async (tool, onProgress) => {
    for (const build of tool.builds) await buildGo(build, onProgress);
    await gather(tool);
    const folders = findBinFolders(tool, [toolBinFolder(tool)]);
    if (folders === undefined)
      throw new Error(`${tool.name} was built but ${tool.binaries.join(", ")} are not all there`);
    return folders;
  },
};

/** Where the tool is without any work: on PATH in the right version, or in the cache. */
export async function findInstalled(tool: Tool): Promise<readonly string[] | undefined> {
  return (await realWays.onPath(tool)) ?? (await realWays.inCache(tool));
}

/**
 * Puts the binaries of several builds side by side, as the official archive has them: Pulumi warns of every plugin that
 * it finds on PATH but not beside itself. What else lies in a build's folder, from an earlier version of this table, stays there.
 */
async function gather(tool: Tool): Promise<void> {
  const together = toolBinFolder(tool);
  await mkdir(together, { recursive: true });
  for (const build of tool.builds) {
    for (const file of builtFiles(build)) {
      if (!existsSync(join(together, file))) await link(join(buildBinFolder(build), file), join(together, file));
    }
  }
}

/**
 * Finds a tool: the right version on PATH, else the cache, else the official download, else a build from Go modules.
 * @throws {Error} when the build fails
 */
export async function resolveTool(
  tool: Tool,
  onProgress: (text: string) => void = () => undefined,
  ways: ToolWays = realWays,
): Promise<ResolvedTool> {
  const startedAtMs = performance.now();
  const found = (source: ToolSource, binFolders: readonly string[]): ResolvedTool => ({
    tool,
    source,
    binFolders,
    seconds: (performance.now() - startedAtMs) / 1000,
  });
  const onPath = await ways.onPath(tool);
  if (onPath) return found("PATH", onPath);
  const inCache = await ways.inCache(tool);
  if (inCache) return found("cache", inCache);
  onProgress(`${tool.name}: asking for the official download`);
  const byDownload = await ways.byDownload(tool);
  if (byDownload) return found("download", byDownload);
  return found("build", await ways.byBuild(tool, onProgress));
}
