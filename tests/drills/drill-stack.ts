import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { repositoryFolder } from "../../local/folders.ts";
import { pulumiTool } from "../../local/toolchain/pulumi.ts";
import { resolveTool } from "../../local/toolchain/resolve-tool.ts";
import type { WaveInputs } from "../../migrations/wave-inputs.ts";

/** The migration nodes of the graph and nothing else: inputs come from the environment. */
const program = `
import { Prepare } from "./migrations/prepare.ts";
import { Cutover } from "./migrations/cutover.ts";
const [prepareInputs, cutoverInputs] = JSON.parse(process.env.RC_DRILL_NODES);
const named = ({ kind, ...inputs }) => inputs;
const prepare = new Prepare("prepare", named(prepareInputs));
new Cutover("cutover", { ...named(cutoverInputs), after: prepare.epoch }, { dependsOn: prepare });
`;

/** A stack of one wave on a file backend of its own, moved by the real Pulumi. */
export class DrillStack implements AsyncDisposable {
  readonly folder: string;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(folder: string, environment: NodeJS.ProcessEnv) {
    this.folder = folder;
    this.#environment = environment;
  }

  /** @param migrationsFolder the engine under test */
  static async make(migrationsFolder: string, nodes: readonly [WaveInputs, WaveInputs]): Promise<DrillStack> {
    const { binFolders } = await resolveTool(pulumiTool, () => undefined);
    const folder = await mkdtemp(join(tmpdir(), "release-coordinator-drill-"));
    const stack = new DrillStack(folder, {
      ...process.env,
      PATH: [dirname(process.execPath), ...binFolders, process.env["PATH"] ?? ""].join(delimiter),
      PULUMI_HOME: join(folder, "home"),
      PULUMI_BACKEND_URL: `file://${join(folder, "backend")}`,
      PULUMI_CONFIG_PASSPHRASE: "drill",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      RC_DRILL_NODES: JSON.stringify(nodes),
    });
    for (const each of ["program", "backend", "home"]) await mkdir(join(folder, each));
    const settings = { name: "drill", runtime: { name: "nodejs", options: { typescript: false } } };
    await writeFile(join(stack.#program, "Pulumi.yaml"), JSON.stringify(settings));
    await writeFile(join(stack.#program, "package.json"), JSON.stringify({ type: "module", main: "index.ts" }));
    await writeFile(join(stack.#program, "index.ts"), program);
    await symlink(join(repositoryFolder, "node_modules"), join(stack.#program, "node_modules"));
    await symlink(migrationsFolder, join(stack.#program, "migrations"));
    await stack.#pulumi("stack", "init", "drill");
    return stack;
  }

  get backendFolder(): string {
    return join(this.folder, "backend");
  }

  /** Starts an update. */
  up(): Up {
    const words = ["up", "--yes", "--skip-preview", "--non-interactive", "--stack", "drill"];
    const child = spawn("pulumi", words, { cwd: this.#program, env: this.#environment, detached: true });
    return new Up(child);
  }

  /** Gives back the lock of an update that is dead. */
  async cancel(): Promise<void> {
    await this.#pulumi("cancel", "--yes", "--stack", "drill");
  }

  /** What the state says of a node; undefined when it does not know it, or has it as a pending operation only. */
  async statusOf(name: string): Promise<string | undefined> {
    const text = await this.#pulumi("stack", "export", "--stack", "drill");
    const state = JSON.parse(text) as {
      deployment: { resources?: { urn: string; outputs?: { status?: string } }[] };
    };
    return state.deployment.resources?.find(({ urn }) => urn.endsWith(`::${name}`))?.outputs?.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#endOrphans();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  get #program(): string {
    return join(this.folder, "program");
  }

  async #pulumi(...words: string[]): Promise<string> {
    const { stdout } = await execa("pulumi", [...words, "--non-interactive"], {
      cwd: this.#program,
      env: this.#environment,
    }).catch((error: { stdout?: string; stderr?: string }) => {
      throw new Error(`pulumi ${words.join(" ")}: ${error.stdout}\n${error.stderr}`);
    });
    return stdout;
  }

  /** A CLI that is killed leaves the processes of its program and provider, which work in our folder alone. */
  async #endOrphans(): Promise<void> {
    for (const name of await readdir("/proc")) {
      if (!/^\d+$/.test(name)) continue;
      const at = await readlink(join("/proc", name, "cwd")).catch(() => "");
      if (at === this.#program) process.kill(Number(name), "SIGKILL");
    }
  }
}

/** An update that runs. */
export class Up {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #output = "";

  constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, "exit");
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (bytes: Buffer) => (this.#output += String(bytes)));
  }

  /** What it has printed so far. */
  output(): string {
    return this.#output;
  }

  /** As a power cut ends it: the CLI alone, its program and provider find out by themselves. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** @returns its exit code, null when it was killed */
  async ended(): Promise<number | null> {
    await this.#ended;
    await sleep(10); // the last of its output
    return this.#child.exitCode;
  }
}
