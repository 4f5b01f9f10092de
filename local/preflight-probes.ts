import { accessSync, constants, existsSync, statSync, statfsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { findEndpoints, singlePorts } from "./endpoints.ts";
import { cacheFolder, dataFolder } from "./folders.ts";
import { isPortFree } from "./servers/free-port.ts";
import { findDocker, findForeignDocker } from "./servers/docker.ts";
import { isDockerEngineCached } from "./toolchain/docker-engine.ts";
import { isDownloadReachable } from "./toolchain/official-download.ts";
import { pulumiTool } from "./toolchain/pulumi.ts";
import { pythonFolder } from "./toolchain/python.ts";
import { findInstalled, findVersion } from "./toolchain/resolve-tool.ts";
import { findFolderOnPath } from "./toolchain/tool.ts";
import { vaultTool } from "./toolchain/vault.ts";

/** What preflight asks this machine; tests give their own answers. */
export interface PreflightProbes {
  readonly machine: { readonly system: string; readonly architecture: string; readonly isGlibc: boolean };
  /** Such as `24.1.0`. */
  readonly nodeVersion: string;
  readonly isRoot: boolean;
  readonly folders: {
    readonly home: string;
    readonly data: string;
    readonly cache: string;
    readonly userHome: string;
  };
  hasProgram(name: string): boolean;
  /** Names of tools that are neither on PATH nor in the cache, and cannot be downloaded. */
  toolsToBuild(): Promise<readonly string[]>;
  goVersion(): Promise<string | undefined>;
  /** Whether the virtual environment is there already. */
  isPythonReady(): Promise<boolean>;
  python(): Promise<{ readonly version: string; readonly hasVenv: boolean } | undefined>;
  /** Whether a daemon answers, ours or another. */
  hasDockerDaemon(): Promise<boolean>;
  /** Whether the engine is in the cache already. */
  isDockerEngineReady(): Promise<boolean>;
  /** Whether the folder, or its nearest parent that exists, can be written. */
  isWritable(folder: string): boolean;
  /** Free space of the disk that holds the folder or will hold it; `disk` tells disks apart. */
  diskOf(folder: string): { readonly disk: number; readonly freeGib: number };
  /** Ports chosen earlier whose servers do not run now. */
  ports(): Promise<readonly { readonly port: number; readonly server: string }[]>;
  isPortFree(port: number): Promise<boolean>;
}

function nearestExisting(folder: string): string {
  let path = folder;
  while (!existsSync(path)) path = dirname(path);
  return path;
}

/**
 * The probes of this machine.
 * @param homeFolder `.local` folder of the platform that is to start
 * @param runningPorts ports whose servers are the platform's own and run
 */
export function machineProbes(homeFolder: string, runningPorts: ReadonlySet<number>): PreflightProbes {
  const header = (process.report.getReport() as { header?: { glibcVersionRuntime?: string } }).header;
  const place = { homeFolder, dataFolder: dataFolder(homeFolder) };
  return {
    machine: {
      system: process.platform,
      architecture: process.arch,
      isGlibc: header?.glibcVersionRuntime !== undefined,
    },
    nodeVersion: process.versions.node,
    isRoot: process.getuid?.() === 0,
    folders: { home: homeFolder, data: place.dataFolder, cache: cacheFolder(), userHome: homedir() },
    hasProgram: (name) => findFolderOnPath(name) !== undefined,
    toolsToBuild: async () => {
      const names: string[] = [];
      for (const tool of [pulumiTool, vaultTool])
        if (!(await findInstalled(tool)) && !(await isDownloadReachable(tool.download))) names.push(tool.name);
      return names;
    },
    goVersion: () => findVersion("go", ["version"]),
    isPythonReady: async () => existsSync(join(await pythonFolder(), ".complete")),
    python: async () => {
      const version = await findVersion("python3", ["--version"]);
      if (version === undefined) return undefined;
      const venv = await execa("python3", ["-c", "import venv, ensurepip"], { reject: false, stdin: "ignore" });
      return { version, hasVenv: !venv.failed };
    },
    hasDockerDaemon: async () => findDocker(place) !== undefined || (await findForeignDocker(place)) !== undefined,
    isDockerEngineReady: isDockerEngineCached,
    isWritable: (folder) => {
      try {
        // Also for root: a file system that is mounted read-only refuses even root here.
        accessSync(nearestExisting(folder), constants.W_OK);
        return true;
      } catch {
        return false;
      }
    },
    diskOf: (folder) => {
      const path = nearestExisting(folder);
      const { bavail, bsize } = statfsSync(path);
      return { disk: statSync(path).dev, freeGib: (bavail * bsize) / 2 ** 30 };
    },
    ports: async () => {
      const endpoints = await findEndpoints(homeFolder);
      if (endpoints === undefined) return [];
      return Object.entries(singlePorts)
        .map(([key, server]) => ({ port: endpoints[key as keyof typeof singlePorts], server }))
        .filter(({ port }) => !runningPorts.has(port));
    },
    isPortFree,
  };
}
