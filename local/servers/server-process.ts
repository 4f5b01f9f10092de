import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServerUser } from "./server-user.ts";

/** Where a server's process is noted, and how it is told from a stranger with the same pid. */
export interface ProcessMark {
  readonly pidFile: string;
  /** Text that only this server's command line holds: its data folder or its configuration file. */
  readonly inCommandLine: string;
}

export interface ProcessArgs extends ProcessMark {
  readonly command: string;
  readonly arguments: readonly string[];
  /** Both output streams are appended here. */
  readonly logFile: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly workingFolder?: string;
  /** Account to run as. @default ourselves */
  readonly user?: ServerUser | undefined;
  /** Whether the kernel kills the server when this process dies, however it dies. @default false */
  readonly isTiedToParent?: boolean | undefined;
}

/** Whether `pid` is alive (a zombie is not) and its command line holds `text`. */
export function isRunning(pid: number, text: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").includes(text);
  } catch {
    return false;
  }
}

/** Pid of the running server, or undefined when it does not run or its pid now belongs to something else. */
export function findProcess(mark: ProcessMark): number | undefined {
  let pid: number;
  try {
    pid = Number.parseInt(readFileSync(mark.pidFile, "utf8"), 10);
  } catch {
    return undefined;
  }
  return Number.isInteger(pid) && pid > 1 && isRunning(pid, mark.inCommandLine) ? pid : undefined;
}

/** Starts a server in a process group of its own, notes its pid, and does not wait until it is ready. */
export function startProcess(args: ProcessArgs): number {
  for (const file of [args.pidFile, args.logFile]) mkdirSync(dirname(file), { recursive: true });
  const privileges = [
    ...(args.isTiedToParent ? ["--pdeathsig", "KILL"] : []),
    ...(args.user ? [`--reuid=${args.user.uid}`, `--regid=${args.user.gid}`, "--init-groups"] : []),
  ];
  // setpriv replaces itself by the server, so that the pid we note is the server's own.
  const [command, ...rest] =
    privileges.length > 0
      ? ["setpriv", ...privileges, "--", args.command, ...args.arguments]
      : [args.command, ...args.arguments];
  const log = openSync(args.logFile, "a", 0o600);
  try {
    const child = spawn(command, rest, {
      detached: true,
      stdio: ["ignore", log, log],
      cwd: args.workingFolder ?? "/",
      env: args.environment ?? process.env,
    });
    // A failed start is reported by the caller's wait for readiness, which finds no process.
    child.on("error", () => undefined);
    child.unref();
    if (child.pid === undefined)
      throw new Error(
        `cannot start ${args.command}: it is missing or not executable; run \`make up\` to install it again`,
      );
    writeFileSync(args.pidFile, `${child.pid}\n`);
    return child.pid;
  } finally {
    closeSync(log);
  }
}

export interface StopArgs {
  /** The server's own signal for an orderly end. @default SIGTERM */
  readonly signal?: NodeJS.Signals;
  /** Milliseconds until SIGKILL. @default 20000 */
  readonly graceMs?: number;
}

/** Ends the server if it runs, and removes its pid file. @returns whether it ran */
export async function stopProcess(mark: ProcessMark, args: StopArgs = {}): Promise<boolean> {
  const pid = findProcess(mark);
  if (pid !== undefined) {
    const killAt = Date.now() + (args.graceMs ?? 20_000);
    sendSignal(pid, args.signal ?? "SIGTERM");
    while (isRunning(pid, mark.inCommandLine)) {
      if (Date.now() > killAt) sendSignal(pid, "SIGKILL");
      await sleep(25);
    }
  }
  await rm(mark.pidFile, { force: true });
  return pid !== undefined;
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The last lines of a log, for an error message. */
export function logTail(logFile: string, lines = 8): string {
  try {
    return readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch {
    return "(no log)";
  }
}

export interface ReadyArgs extends ProcessMark {
  /** What is waited for, as the error calls it. */
  readonly name: string;
  readonly logFile: string;
  /** Resolves to true once the server answers; false or a rejection means not yet. */
  readonly isReady: () => Promise<boolean>;
  readonly timeoutMs: number;
}

/** Waits until a started server answers. @throws {Error} with the end of its log when it ends or stays silent */
export async function waitUntilReady(args: ReadyArgs): Promise<void> {
  const giveUpAt = Date.now() + args.timeoutMs;
  let lastError: unknown;
  let missedChecks = 0;
  for (;;) {
    try {
      if (await args.isReady()) return;
    } catch (error) {
      lastError = error;
    }
    // While setpriv becomes the server, the kernel shows no command line for a moment: once is not proof.
    missedChecks = findProcess(args) === undefined ? missedChecks + 1 : 0;
    const hasEnded = missedChecks >= 5;
    if (hasEnded || Date.now() > giveUpAt) {
      const what = hasEnded ? "ended while starting" : `did not answer within ${args.timeoutMs / 1000} s`;
      const why = lastError instanceof Error ? ` (${lastError.message})` : "";
      throw new Error(`${args.name} ${what}${why}; the end of ${args.logFile}:\n${logTail(args.logFile)}`);
    }
    await sleep(50);
  }
}
