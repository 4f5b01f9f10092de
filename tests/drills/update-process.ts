import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { type ProcessEntry, processTree } from "./process-tree.ts";

/** Processes of an update, told by their command lines. */
const parts = {
  /** Pulumi's command line itself. */
  cli: /(^|\/)pulumi (up|refresh|destroy)\b/,
  /** Runs the migration nodes and is the parent of their workers. */
  provider: /dynamic-provider/,
  /** Node with the program's index.ts. */
  program: /@pulumi\/pulumi\/cmd\/run/,
  worker: /mirror\/worker\.ts/,
} as const;

export type UpdatePart = keyof typeof parts;

/** A command in a process group of its own, as a shell would start it, with all that it starts in turn. */
export class UpdateProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #seen = new Set<number>();
  #output = "";

  constructor(command: string, words: readonly string[], cwd: string, env: NodeJS.ProcessEnv) {
    this.#child = spawn(command, words, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    // `exit`, not `close`: what it leaves behind may hold its output open.
    this.#ended = once(this.#child, "exit");
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on("data", (bytes: Buffer) => (this.#output += String(bytes)));
  }

  /** What it has printed so far. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Processes of one kind that it has started; they stay known when their parent is gone. */
  find(part: UpdatePart): ProcessEntry[] {
    const tree = [...new Set([this.pid, ...this.#seen])].flatMap((pid) => processTree(pid));
    for (const { pid } of tree) this.#seen.add(pid);
    const byPid = new Map(tree.map((entry) => [entry.pid, entry]));
    return [...byPid.values()].filter(({ commandLine }) => parts[part].test(commandLine));
  }

  /** Until a process of this kind is there. @throws {Error} the command ended before */
  async until(part: UpdatePart, isIt: (entry: ProcessEntry) => boolean = () => true): Promise<ProcessEntry> {
    for (;;) {
      const found = this.find(part).find(isIt);
      if (found !== undefined) return found;
      if (!this.isRunning) throw new Error(`it ended before its ${part} was there: ${this.#output}`);
      await sleep(20);
    }
  }

  /** Until a worker stands at the SIGSTOP of its fault point. */
  async stoppedWorker(): Promise<number> {
    return (await this.until("worker", ({ state }) => state === "T")).pid;
  }

  /** Ctrl-C: the terminal tells every process of the foreground group. */
  interrupt(): void {
    process.kill(-this.pid, "SIGINT");
  }

  /** @returns its exit code, null when a signal ended it */
  async ended(): Promise<number | null> {
    await this.#ended;
    await sleep(10); // the last of its output
    return this.#child.exitCode;
  }

  /** Ends it and all that it has left behind. */
  async end(): Promise<void> {
    for (const part of ["cli", "provider", "program", "worker"] as const)
      for (const { pid } of this.find(part)) killIfThere(pid);
    if (this.isRunning) this.#child.kill("SIGKILL");
    await this.#ended;
    for (const pid of this.#seen) for (const entry of processTree(pid)) killIfThere(entry.pid);
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
