import { mkdir } from "node:fs/promises";
import { request } from "node:http";
import { delimiter, join } from "node:path";
import { ensureDataFolder } from "../folders.ts";
import { ensureDockerEngine } from "../toolchain/docker-engine.ts";
import { findProcess, startProcess, stopProcess, waitUntilReady } from "./server-process.ts";
import type { ProcessMark } from "./server-process.ts";

export interface DockerArgs {
  /** `.local` folder: gets the log and the pid file. */
  readonly homeFolder: string;
  /** Parent of the daemon's data folder. A socket's path is limited to 107 bytes: keep it short. */
  readonly dataFolder: string;
}

export interface RunningDocker {
  /** Value for DOCKER_HOST. */
  readonly host: string;
  /** Whether the daemon is the platform's own; somebody else's is never stopped. */
  readonly isOurs: boolean;
  /** Folders with a `docker` client to put on PATH, when the daemon is ours. */
  readonly binFolders: readonly string[];
}

const rootFolder = (args: DockerArgs): string => join(args.dataFolder, "docker");
const socketPath = (args: DockerArgs): string => join(rootFolder(args), "docker.sock");
const processMark = (args: DockerArgs): ProcessMark => ({
  pidFile: join(args.homeFolder, "run", "docker.pid"),
  inCommandLine: `--data-root ${rootFolder(args)}`,
});

/** Pid of the platform's own daemon, or undefined when it does not run. */
export const findDocker = (args: DockerArgs): number | undefined => findProcess(processMark(args));

/** Whether a Docker daemon answers behind a socket. */
export function answersDocker(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const ping = request({ socketPath: path, path: "/_ping", timeout: 3000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on("timeout", () => ping.destroy());
    ping.on("error", () => resolve(false));
    ping.end();
  });
}

/**
 * Host of a daemon of this machine that is not ours and that we may use, or undefined. Only sockets count: containers
 * share the host's network, so a daemon elsewhere is of no use.
 */
export async function findForeignDocker(
  args: DockerArgs,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const named = environment["DOCKER_HOST"];
  const runtimeFolder = environment["XDG_RUNTIME_DIR"];
  const sockets = [
    ...(named?.startsWith("unix://") ? [named.slice("unix://".length)] : []),
    "/var/run/docker.sock",
    ...(runtimeFolder ? [join(runtimeFolder, "docker.sock")] : []),
  ];
  for (const path of sockets) if (path !== socketPath(args) && (await answersDocker(path))) return `unix://${path}`;
  return undefined;
}

/**
 * Uses our own daemon if it runs, else a reachable one, else starts Debian's engine as our own (root only).
 * @throws {Error} with the end of its log when it does not come up
 */
export async function startDocker(
  args: DockerArgs,
  onProgress: (text: string) => void = () => undefined,
): Promise<RunningDocker> {
  const mark = processMark(args);
  const isRunning = findProcess(mark) !== undefined;
  if (!isRunning) {
    const foreign = await findForeignDocker(args);
    if (foreign !== undefined) return { host: foreign, isOurs: false, binFolders: [] };
  }
  const engine = await ensureDockerEngine(onProgress);
  const logFile = join(args.homeFolder, "log", "docker.log");
  if (!isRunning) await startDaemon(args, engine.binFolders, engine.libraryFolders, logFile);
  const isReady = () => answersDocker(socketPath(args));
  await waitUntilReady({ ...mark, name: "dockerd", logFile, timeoutMs: 60_000, isReady });
  return { host: `unix://${socketPath(args)}`, isOurs: true, binFolders: engine.binFolders };
}

async function startDaemon(
  args: DockerArgs,
  binFolders: readonly string[],
  libraryFolders: readonly string[],
  logFile: string,
): Promise<void> {
  const root = rootFolder(args);
  await ensureDataFolder(args.dataFolder);
  await mkdir(root, { recursive: true, mode: 0o710 });
  // Left by a daemon that was killed. dockerd takes any process with such a pid, a zombie too, for a running one: it would
  // refuse to start, or wait for a containerd that never answers.
  const ownPidFile = join(root, "pid");
  for (const pidFile of [ownPidFile, join(root, "run", "containerd", "containerd.pid")])
    await stopProcess({ pidFile, inCommandLine: root });
  startProcess({
    ...processMark(args),
    command: join(binFolders[0] as string, "dockerd"),
    arguments: [
      ...["--data-root", root, "--exec-root", join(root, "run"), "--pidfile", ownPidFile],
      ...["-H", `unix://${socketPath(args)}`],
      // Containers share the host's network, so neither bridge nor firewall rules are needed, nor the right to make them.
      ...["--bridge=none", "--iptables=false", "--ip6tables=false"],
    ],
    logFile,
    environment: {
      ...process.env,
      PATH: [...binFolders, process.env["PATH"]].join(delimiter),
      LD_LIBRARY_PATH: libraryFolders.join(delimiter),
    },
  });
}

/** Stops our own daemon and with it its containers. @returns whether it ran */
export const stopDocker = (args: DockerArgs): Promise<boolean> => stopProcess(processMark(args), { graceMs: 60_000 });
