import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { cacheFolder } from "../folders.ts";
import type { GoBuild } from "./go-build.ts";
import type { OfficialDownload } from "./official-download.ts";

/** A program of the platform that comes as one or several binaries. */
export interface Tool {
  readonly name: string;
  /** The version that we download or build. */
  readonly version: string;
  /** Stem of its cache folder; another one leaves behind what an older checkout put there. @default `name` */
  readonly cacheName?: string;
  /** The binaries it takes; the first one tells the version. */
  readonly binaries: readonly [string, ...string[]];
  /** Arguments that make the first binary print its version. */
  readonly versionArguments: readonly string[];
  /** Semver range of versions on PATH that do as well. */
  readonly accepts: string;
  readonly download: OfficialDownload;
  readonly builds: readonly GoBuild[];
}

/** Folder in the cache that holds all binaries of the tool, downloaded or built: `<cache name>-<version>/bin`. */
export const toolBinFolder = (tool: Pick<Tool, "name" | "version" | "cacheName">): string =>
  join(cacheFolder(), `${tool.cacheName ?? tool.name}-${tool.version}`, "bin");

/** Where a tool came from: PATH, the cache of an earlier run, the official download, or a build from Go modules. */
export type ToolSource = "PATH" | "cache" | "download" | "build";

/** Folder on `path` that holds an executable of that name, or undefined. */
export function findFolderOnPath(binary: string, path: string = process.env["PATH"] ?? ""): string | undefined {
  return path.split(delimiter).find((folder) => folder !== "" && existsSync(join(folder, binary)));
}

/** Folders that together hold every binary of the tool, or undefined when one is missing. */
export function findBinFolders(tool: Tool, candidates: readonly string[]): string[] | undefined {
  const folders = tool.binaries.map((binary) => candidates.find((folder) => existsSync(join(folder, binary))));
  return folders.every((folder) => folder !== undefined) ? [...new Set(folders)] : undefined;
}
