import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { cacheFolder, repositoryFolder } from "../folders.ts";
import { bundle, type Bundle } from "../images/bundle.ts";
import { findFolderOnPath } from "../toolchain/tool.ts";

/** A provider plugin that the program can use, and whether it is the official one or ours. */
export interface InstalledPlugin {
  readonly name: string;
  readonly version: string;
  readonly source: "official" | "stand-in";
}

const names = ["random", "postgresql", "vault", "docker"] as const;
/** Days until the official plugins are asked for again after a download failed. */
const rememberDays = 1;
const memoryFile = (): string => join(cacheFolder(), "official-plugins-failed");
const officialTimeoutMs = 15_000;
/** In a stand-in's folder: what it was packed from. The official plugins have no such file. */
const markFile = "stand-in.json";
const codeFile = "stand-in.mjs";

/**
 * Installs the provider plugins of the program into PULUMI_HOME in the SDKs' own versions: the official ones when they can be
 * downloaded, else our stand-ins, one bundled file each, run by this Node. What is installed or on PATH
 * already stays, unless it is a stand-in of other sources.
 * @param options.env holds PULUMI_HOME and a PATH with `pulumi`
 * @throws when PULUMI_HOME is missing, Node is older than 22.18, or `pulumi` is not on PATH
 */
export async function installPlugins(options: { env: NodeJS.ProcessEnv }): Promise<InstalledPlugin[]> {
  const home = options.env["PULUMI_HOME"];
  if (!home) throw new Error("PULUMI_HOME is not set; mend: source .local/env, or make up");
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < 22 || (major === 22 && minor < 18)) {
    throw new Error(
      `Node ${process.versions.node} cannot run TypeScript; mend: PATH="node_modules/.bin:$PATH" (Node 24)`,
    );
  }
  if (findFolderOnPath("pulumi", options.env["PATH"]) === undefined) {
    throw new Error("pulumi is not on PATH; mend: source .local/env, or make up");
  }
  const code = await bundle("local/plugins/serve.ts");
  const hash = markOf(code);
  const installed: InstalledPlugin[] = [];
  // One after another: the first one that cannot be downloaded answers for all.
  for (const name of names) {
    const version = await sdkVersion(name);
    const folder = join(home, "plugins", `resource-${name}-v${version}`);
    const mark = await readMark(folder);
    const isPresent = existsSync(join(folder, `pulumi-resource-${name}`));
    // The engine takes a plugin on PATH before any that is installed.
    const isOnPath = findFolderOnPath(`pulumi-resource-${name}`, options.env["PATH"]) !== undefined;
    const isOfficial =
      isOnPath || (isPresent && mark === undefined) || (await installOfficial(name, version, isPresent, options.env));
    if (!isOfficial && mark !== hash) await installStandIn(name, version, code, options.env);
    installed.push({ name, version, source: isOfficial ? "official" : "stand-in" });
  }
  return installed;
}

async function sdkVersion(name: string): Promise<string> {
  const file = join(repositoryFolder, "node_modules", "@pulumi", name, "package.json");
  return (JSON.parse(await readFile(file, "utf8")) as { version: string }).version;
}

async function installOfficial(
  name: string,
  version: string,
  isPresent: boolean,
  env: NodeJS.ProcessEnv,
): Promise<boolean> {
  const failedAtMs = Date.parse(await readFile(memoryFile(), "utf8").catch(() => ""));
  if (Date.now() - failedAtMs < rememberDays * 86_400_000) return false;
  const again = isPresent ? ["--reinstall"] : [];
  const result = await execa("pulumi", ["plugin", "install", "resource", name, version, ...again], {
    env,
    extendEnv: false,
    reject: false,
    timeout: officialTimeoutMs,
  });
  if (result.exitCode === 0) return true;
  await mkdir(cacheFolder(), { recursive: true });
  await writeFile(memoryFile(), new Date().toISOString());
  return false;
}

async function installStandIn(name: string, version: string, code: Bundle, env: NodeJS.ProcessEnv): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "rc-plugin-"));
  try {
    const launcher = join(work, `pulumi-resource-${name}`);
    const [node, ...quoted] = [process.execPath, name, version].map(shellQuoted);
    await writeFile(
      launcher,
      // A plugin starts with every preview: keeping compiled code halves the time until it answers.
      `#!/bin/sh\nexport NODE_COMPILE_CACHE="\${NODE_COMPILE_CACHE:-\${0%/*}/compiled}"\n` +
        `exec ${node} "\${0%/*}/${codeFile}" ${quoted.join(" ")}\n`,
    );
    await chmod(launcher, 0o755);
    await writeFile(join(work, codeFile), code.code);
    await writeFile(join(work, markFile), JSON.stringify({ hash: markOf(code) }));
    const archive = join(work, "plugin.tar.gz");
    await execa("tar", ["-czf", archive, "-C", work, `pulumi-resource-${name}`, codeFile, markFile]);
    await execa("pulumi", ["plugin", "install", "resource", name, version, "--reinstall", "--file", archive], {
      env,
      extendEnv: false,
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function readMark(folder: string): Promise<string | undefined> {
  try {
    return (JSON.parse(await readFile(join(folder, markFile), "utf8")) as { hash: string }).hash;
  } catch {
    return undefined;
  }
}

/** Changes with the sources and with the Node that runs them. */
const markOf = (code: Bundle): string =>
  createHash("sha256").update(`${process.execPath}\0${code.source}`).digest("hex");

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
