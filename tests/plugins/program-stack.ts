import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { repositoryFolder } from "../../local/folders.ts";
import { installPlugins } from "../../local/plugins/install.ts";
import { pulumiTool } from "../../local/toolchain/pulumi.ts";
import { findFolderOnPath, toolBinFolder } from "../../local/toolchain/tool.ts";

/** One resource in an exported state. */
export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly id: string;
  readonly inputs: Record<string, unknown>;
  readonly outputs: Record<string, unknown>;
}

/** What one run of the engine did, e.g. `{create: 2, same: 1}`, and its warnings and errors. */
export interface Run {
  readonly summary: Readonly<Record<string, number>>;
  readonly text: string;
  readonly exitCode: number;
}

const passphrase = "a passphrase of the tests";

/**
 * A Pulumi project in a temporary folder with a file backend, run by the real CLI with the plugins that `installPlugins`
 * installs. The program is TypeScript that Node runs by itself.
 */
export class ProgramStack {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;

  static async create(): Promise<ProgramStack> {
    const folder = await mkdtemp(join(tmpdir(), "rc-plugins-"));
    const stack = new ProgramStack(folder);
    await mkdir(join(folder, "backend"));
    await mkdir(join(folder, "program"));
    await symlink(join(repositoryFolder, "node_modules"), join(folder, "program", "node_modules"));
    await writeFile(join(folder, "program", "package.json"), JSON.stringify({ type: "module", main: "index.ts" }));
    await writeFile(
      join(folder, "program", "Pulumi.yaml"),
      "name: plugins\nruntime: {name: nodejs, options: {typescript: false}}\n",
    );
    await installPlugins({ env: stack.env });
    await stack.#pulumi(["stack", "init", "test"]);
    return stack;
  }

  private constructor(folder: string) {
    this.folder = folder;
    const bin = pulumiTool.binaries.flatMap((binary) => {
      if (findFolderOnPath(binary) !== undefined) return [];
      const built = toolBinFolder(pulumiTool);
      if (existsSync(join(built, binary))) return [built];
      throw new Error(`${binary} is neither on PATH nor in ${built}; mend: make up`);
    });
    this.env = {
      ...process.env,
      PATH: [dirname(process.execPath), ...bin, process.env["PATH"]].join(delimiter),
      PULUMI_HOME: join(folder, "home"),
      PULUMI_BACKEND_URL: `file://${join(folder, "backend")}`,
      PULUMI_CONFIG_PASSPHRASE: passphrase,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_STACK: "test",
    };
  }

  /** Runs `pulumi up` with this program text; a failed update is returned, not thrown. */
  async up(program: string): Promise<Run> {
    await writeFile(join(this.folder, "program", "index.ts"), program);
    return this.#run(["up", "--yes", "--skip-preview"]);
  }

  async preview(program: string): Promise<Run> {
    await writeFile(join(this.folder, "program", "index.ts"), program);
    return this.#run(["preview"]);
  }

  async refresh(): Promise<Run> {
    return this.#run(["refresh", "--yes", "--skip-preview"]);
  }

  async destroy(): Promise<Run> {
    return this.#run(["destroy", "--yes", "--skip-preview"]);
  }

  /** The state file as it lies on disk, with secrets encrypted. */
  async stateFile(): Promise<string> {
    return readFile(join(this.folder, "backend", ".pulumi", "stacks", "plugins", "test.json"), "utf8");
  }

  /** Resources in state with secrets in clear (under the key `plaintext` of Pulumi's secret objects). */
  async resources(): Promise<StateResource[]> {
    const { stdout } = await this.#pulumi(["stack", "export", "--show-secrets"]);
    const state = JSON.parse(stdout) as { deployment: { resources: StateResource[] } };
    return state.deployment.resources.filter((resource) => !resource.type.startsWith("pulumi:"));
  }

  async getResource(name: string): Promise<StateResource> {
    const found = (await this.resources()).find((resource) => resource.urn.endsWith(`::${name}`));
    if (found === undefined) throw new Error(`no resource "${name}" in state`);
    return found;
  }

  async outputs(): Promise<Record<string, unknown>> {
    const { stdout } = await this.#pulumi(["stack", "output", "--json", "--show-secrets"]);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  /** Removes the folder; what the program made must be destroyed before. */
  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  async #run(command: readonly string[]): Promise<Run> {
    const result = await this.#pulumi([...command, "--json"], false);
    const text = `${messagesOf(result.stdout)}\n${result.stderr}`;
    return { summary: summaryOf(result.stdout), text, exitCode: result.exitCode ?? -1 };
  }

  async #pulumi(command: readonly string[], reject = true) {
    return execa("pulumi", [...command, "--non-interactive"], {
      cwd: join(this.folder, "program"),
      env: this.env,
      extendEnv: false,
      reject,
    });
  }
}

/** Finds the summary event of an engine run in its JSON lines (up, refresh, destroy) or JSON document (preview). */
function summaryOf(stdout: string): Record<string, number> {
  const whole = parsed(stdout) as { changeSummary?: Record<string, number> } | undefined;
  if (whole?.changeSummary !== undefined) return whole.changeSummary;
  for (const line of stdout.split("\n").reverse()) {
    const event = parsed(line) as { summaryEvent?: { resourceChanges?: Record<string, number> } } | undefined;
    if (event?.summaryEvent !== undefined) return event.summaryEvent.resourceChanges ?? {};
  }
  return {};
}

function messagesOf(stdout: string): string {
  const whole = parsed(stdout) as { diagnostics?: { message: string }[] } | undefined;
  if (whole?.diagnostics !== undefined) return whole.diagnostics.map(({ message }) => message).join("");
  const events = stdout
    .split("\n")
    .map((line) => parsed(line) as { diagnosticEvent?: { message: string; severity: string } } | undefined);
  return events
    .flatMap((event) => (event?.diagnosticEvent === undefined ? [] : [event.diagnosticEvent]))
    .filter(({ severity }) => severity !== "debug")
    .map(({ message }) => message)
    .join("");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
