import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { runCommandLine } from "../../coordinator/command-line.ts";
import { pulumiTool } from "../../local/toolchain/pulumi.ts";
import { resolveTool } from "../../local/toolchain/resolve-tool.ts";

const repository = resolve(import.meta.dirname, "../..");
const run = promisify(execFile);

/** What a command printed and how it ended. */
export interface CommandRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A small program of our own on a temporary `file://` backend: the real Pulumi, the real history files, no servers.
 * Its nodes carry the type names of the real graph (`Wave`, `Fleet`), and `extra` adds resources outside of them.
 */
export class TemporaryStack {
  readonly folder: string;
  readonly #environment: Record<string, string>;

  private constructor(folder: string, binFolders: readonly string[]) {
    this.folder = folder;
    this.#environment = {
      PATH: [dirname(process.execPath), ...binFolders, process.env["PATH"] ?? ""].join(delimiter),
      PULUMI_HOME: join(folder, "home"),
      PULUMI_BACKEND_URL: `file://${join(folder, "backend")}`,
      PULUMI_CONFIG_PASSPHRASE: "test",
      PULUMI_SKIP_UPDATE_CHECK: "true",
    };
  }

  static async make(): Promise<TemporaryStack> {
    const { binFolders } = await resolveTool(pulumiTool, () => undefined);
    const folder = await mkdtemp(join(tmpdir(), "coordinator-stack-"));
    const stack = new TemporaryStack(folder, binFolders);
    for (const each of ["program", "backend", "home"]) await mkdir(join(folder, each));
    const settings = { name: "release-coordinator", runtime: { name: "nodejs", options: { typescript: false } } };
    await writeFile(join(stack.program, "Pulumi.yaml"), JSON.stringify(settings));
    await writeFile(join(stack.program, "package.json"), JSON.stringify({ type: "module", main: "index.ts" }));
    await writeFile(join(stack.program, "index.ts"), program);
    await symlink(join(repository, "node_modules"), join(stack.program, "node_modules"));
    return stack;
  }

  /** Folder of Pulumi.yaml. */
  get program(): string {
    return join(this.folder, "program");
  }

  get historyFolder(): string {
    return join(this.folder, "backend", ".pulumi", "history", "release-coordinator", "dev");
  }

  get lockFolder(): string {
    return join(this.folder, "backend", ".pulumi", "locks", "organization", "release-coordinator", "dev");
  }

  get stackFile(): string {
    return join(this.program, "Pulumi.dev.yaml");
  }

  /** Settings of the test program for the runs to come: `wave` (inputs of every wave's node), `extra`, `slowSeconds`, `readable` and what of it has `drifted`. */
  turn(knobs: {
    wave?: object;
    extra?: Record<string, string>;
    slowSeconds?: number;
    readable?: Record<string, string>;
    drifted?: Record<string, string | null>;
  }): void {
    this.#environment["RC_TEST_KNOBS"] = JSON.stringify(knobs);
  }

  /** Variables for every run to come. */
  setVariables(variables: Record<string, string>): void {
    Object.assign(this.#environment, variables);
  }

  async writeStackFile(text: string): Promise<void> {
    await writeFile(this.stackFile, text);
  }

  /** Environment of every process that works on this stack. */
  get variables(): NodeJS.ProcessEnv {
    return { ...process.env, ...this.#environment };
  }

  /** Runs the real pulumi of the project's toolchain. */
  async pulumi(...words: string[]): Promise<string> {
    const options = { cwd: this.program, env: this.variables };
    const { stdout } = await run("pulumi", [...words, "--non-interactive"], options).catch(
      (error: { stdout: string }) => {
        throw new Error(error.stdout, { cause: error });
      },
    );
    return stdout;
  }

  async coordinator(...words: string[]): Promise<CommandRun> {
    let stdout = "";
    let stderr = "";
    const terminal = {
      stdout: (text: string) => void (stdout += text),
      stderr: (text: string) => void (stderr += text),
    };
    const before = { ...process.env };
    Object.assign(process.env, this.#environment);
    try {
      const code = await runCommandLine(words, terminal, this.program);
      return { code, stdout, stderr };
    } finally {
      for (const key of Object.keys(this.#environment)) {
        if (before[key] === undefined) delete process.env[key];
        else process.env[key] = before[key];
      }
    }
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

const program = `
import * as pulumi from "@pulumi/pulumi";
const environment = new pulumi.Config("release-coordinator").requireObject("environment");
const knobs = JSON.parse(process.env.RC_TEST_KNOBS ?? "{}");
const ask = async (path, inputs) => {
  const world = process.env.RC_TEST_WORLD;
  if (!world || !inputs.wave) return [];
  const answer = await fetch(world + path, { method: "POST", body: JSON.stringify(inputs) });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error);
  return body;
};
const provider = {
  check: async (olds, inputs) => {
    const reasons = await ask("/check", inputs);
    return { inputs, failures: reasons.map((reason) => ({ property: "release", reason })) };
  },
  create: async (inputs) => {
    if (inputs.fails) throw new Error("the disk of tenant acme is full");
    await ask("/move", inputs);
    return { id: inputs.label, outs: { ...inputs, status: inputs.status ?? "done", summary: "moved" } };
  },
  update: async (id, olds, inputs) => {
    if (inputs.fails) throw new Error("the disk of tenant acme is full");
    await ask("/move", inputs);
    return { outs: { ...inputs, status: inputs.status ?? "done", summary: "moved" } };
  },
};
// What somebody changed by hand: the value that a readable node has now, or null when it is gone.
const readable = {
  create: async (inputs) => ({ id: inputs.label, outs: inputs }),
  update: async (id, olds, inputs) => ({ outs: inputs }),
  diff: async (id, olds, inputs) => ({ changes: olds.value !== inputs.value }),
  read: async (id, props) => {
    const drifted = JSON.parse(process.env.RC_TEST_KNOBS ?? "{}").drifted ?? {};
    if (!(id in drifted)) return { id, props };
    return drifted[id] === null ? { id: "", props: {} } : { id, props: { ...props, value: drifted[id] } };
  },
};
class Readable extends pulumi.dynamic.Resource {
  constructor(name, inputs, opts) { super(readable, name, { label: name, ...inputs }, opts); }
}
class Node extends pulumi.dynamic.Resource {
  constructor(name, inputs, opts) { super(provider, name, { label: name, ...inputs }, opts); }
}
class Part extends pulumi.ComponentResource {
  constructor(type, name) { super("release-coordinator:components:" + type, name); }
}
if (knobs.slowSeconds && !pulumi.runtime.isDryRun()) await new Promise((resolve) => setTimeout(resolve, knobs.slowSeconds * 1000));
let before = [];
for (const [wave, pins] of Object.entries(environment.pins)) {
  const finalize = environment.finalize?.[wave] ?? [];
  const inputs = { wave, ...pins, finalize, ...(knobs.wave ?? {}) };
  before = [new Node("cutover-" + wave, inputs, { parent: new Part("Wave", wave), dependsOn: before })];
}
for (const [name, value] of Object.entries(knobs.extra ?? {})) new Node(name, { value }, { parent: new Part("Database", name) });
for (const [name, value] of Object.entries(knobs.readable ?? {})) new Readable(name, { value }, { parent: new Part("Database", name) });
`;
