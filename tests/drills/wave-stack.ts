import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { runCommandLine } from "../../coordinator/command-line.ts";
import { repositoryFolder } from "../../local/folders.ts";
import { findFreePort } from "../../local/servers/free-port.ts";
import { pulumiTool } from "../../local/toolchain/pulumi.ts";
import { resolveTool } from "../../local/toolchain/resolve-tool.ts";
import { getRelease } from "../../releases/catalog.ts";
import { releaseTarget } from "../../releases/target.ts";
import type { CommandRun } from "../coordinator/temporary-stack.ts";
import { getPostgresUrl, getVault } from "../servers.ts";
import { environment } from "./drill-tenant.ts";
import { UpdateProcess } from "./update-process.ts";

/** The releases of the catalog, as an update moves them. */
export const catalogR1 = releaseTarget(getRelease("r1"));
export const catalogR2 = releaseTarget(getRelease("r2"));

/** The waves of the real graph, without servers and fleets: what an update does to tenants. */
const program = `
import * as pulumi from "@pulumi/pulumi";
import { Wave } from "${repositoryFolder}/components/wave.ts";
import { parseEnvironment } from "${repositoryFolder}/releases/environment.ts";
import { rolloutOf } from "${repositoryFolder}/releases/rollout.ts";

const environment = parseEnvironment(new pulumi.Config().requireObject("environment"));
const rollout = rolloutOf(environment);
const regions = environment.regions.map(({ name, postgres, vault }) => ({
  name, postgresUrl: postgres.url, vaultAddress: vault.address, vaultToken: vault.token,
}));
const waves = [];
for (const wave of rollout.waves) {
  const { back, target: release } = wave;
  waves.push(new Wave(wave.name, {
    environment: environment.name, wave: wave.name, regions, release, ...(back === undefined ? {} : { back }),
    waves: rollout.waves.map(({ name, selector }) => ({ name, selector })),
    releaseRoles: rollout.targets.map(({ role }) => role), deadlineSeconds: 300, concurrency: 2,
    prepareAfter: [], cutoverAfter: waves.map(({ cutover }) => cutover),
    isLeaving: environment.leaving.includes(wave.name),
  }));
}
for (const [nth, wave] of rollout.waves.entries()) waves[nth].finalize(wave.finalize, waves.map(({ cutover }) => cutover));
`;

/** Pins of a stack file: the way forwards, the way back, or at rest before the first move. */
export type Way = "forwards" | "backwards" | "at rest";

/** A stack of waves on a file backend of its own, moved by the real Pulumi and the real coordinator. */
export class WaveStack {
  readonly folder: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #waves: readonly string[];
  readonly #processes: UpdateProcess[] = [];

  private constructor(folder: string, environment: NodeJS.ProcessEnv, waves: readonly string[]) {
    this.folder = folder;
    this.#environment = environment;
    this.#waves = waves;
  }

  /**
   * @param migrationsFolder the engine under test
   * @param waves names of the waves: the last one takes every tenant, the others those with the wave's name as a tag
   */
  static async make(migrationsFolder: string, waves: readonly string[] = ["general"]): Promise<WaveStack> {
    const { binFolders } = await resolveTool(pulumiTool, () => undefined);
    const folder = await mkdtemp(join(tmpdir(), "release-coordinator-drill-"));
    const { address, token } = getVault();
    const variables = {
      PATH: [dirname(process.execPath), ...binFolders, process.env["PATH"] ?? ""].join(delimiter),
      PULUMI_HOME: join(folder, "home"),
      PULUMI_BACKEND_URL: `file://${join(folder, "backend")}`,
      PULUMI_CONFIG_PASSPHRASE: "drill",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      RC_POSTGRES_URL: getPostgresUrl(),
      RC_VAULT_ADDR: address,
      RC_VAULT_TOKEN: token,
      RC_FLEET_BASE_PORT: String(await findFreePort(100)),
      RC_OPERATOR: "ana",
    };
    const stack = new WaveStack(folder, variables, waves);
    for (const each of ["program", "backend", "home"]) await mkdir(join(folder, each));
    const settings = { name: "release-coordinator", runtime: { name: "nodejs", options: { typescript: false } } };
    await writeFile(join(stack.program, "Pulumi.yaml"), JSON.stringify(settings));
    await writeFile(join(stack.program, "package.json"), JSON.stringify({ type: "module", main: "index.ts" }));
    await writeFile(join(stack.program, "index.ts"), program);
    await symlink(join(repositoryFolder, "node_modules"), join(stack.program, "node_modules"));
    await symlink(migrationsFolder, join(stack.program, "migrations"));
    await stack.pulumi("stack", "init", environment);
    await stack.pin("at rest");
    return stack;
  }

  get program(): string {
    return join(this.folder, "program");
  }

  get basePort(): number {
    return Number(this.#environment["RC_FLEET_BASE_PORT"]);
  }

  /** Writes the stack file. @param extra lines of the environment, e.g. `finalize: {general: [prompt-encryption]}` */
  async pin(way: Way, extra = ""): Promise<void> {
    const path = join(this.program, `Pulumi.${environment}.yaml`);
    const salt = /^encryptionsalt: .*$/m.exec(await readFile(path, "utf8").catch(() => ""))?.[0] ?? "";
    const [now, back] =
      way === "forwards"
        ? [catalogR2.pin, catalogR1.pin]
        : way === "backwards"
          ? [catalogR1.pin, catalogR2.pin]
          : [catalogR1.pin, "none"];
    const last = this.#waves.at(-1);
    await writeFile(
      path,
      `${salt}
config:
  release-coordinator:environment:
    name: ${environment}
    runtime: docker
    regions:
      - name: local
        postgres: { kind: external, url: env:RC_POSTGRES_URL }
        vault: { kind: external, address: env:RC_VAULT_ADDR, token: env:RC_VAULT_TOKEN }
    docker: { host: env:DOCKER_HOST, basePort: env:RC_FLEET_BASE_PORT }
    images: env:RC_IMAGES_FILE
    gateway: { url: env:RC_GATEWAY_URL }
    flags: { file: env:RC_FLAGS_FILE }
    present: { vault: true, milvus: false }
    waves:
${this.#waves.map((wave) => `      - { name: ${wave}, selector: ${wave === last ? "{ rest: true }" : `{ tags: [${wave}] }`} }`).join("\n")}
    pins:
${this.#waves.map((wave) => `      ${wave}: { now: ${now}, back: ${back} }`).join("\n")}
${extra === "" ? "" : `    ${extra}\n`}`,
    );
  }

  /** Starts `pulumi up`. @param variables on top, e.g. a fault point for the workers */
  up(variables: Record<string, string> = {}, command = "up"): UpdateProcess {
    const words = [command, "--yes", "--skip-preview", "--non-interactive", "--stack", environment];
    return this.#start("pulumi", words, variables);
  }

  /** Starts the coordinator in a process of its own. */
  startCoordinator(words: readonly string[], variables: Record<string, string> = {}): UpdateProcess {
    return this.#start(process.execPath, [join(repositoryFolder, "coordinator", "main.ts"), ...words], variables);
  }

  /** Runs the coordinator to its end, in this process. */
  async coordinator(...words: string[]): Promise<CommandRun> {
    let [stdout, stderr] = ["", ""];
    const terminal = {
      stdout: (text: string) => void (stdout += text),
      stderr: (text: string) => void (stderr += text),
    };
    const before = { ...process.env };
    Object.assign(process.env, this.#environment);
    try {
      return { code: await runCommandLine(words, terminal, this.program), stdout, stderr };
    } finally {
      for (const key of Object.keys(this.#environment)) {
        if (before[key] === undefined) delete process.env[key];
        else process.env[key] = before[key];
      }
    }
  }

  /** Runs Pulumi to its end. @throws {Error} with what it printed */
  async pulumi(...words: string[]): Promise<string> {
    const ended = await execa("pulumi", [...words, "--non-interactive"], {
      cwd: this.program,
      env: this.#environment,
      reject: false,
    });
    if (ended.failed) throw new Error(`pulumi ${words.join(" ")}: ${ended.stdout}\n${ended.stderr}`);
    return ended.stdout;
  }

  /** Resources and pending operations in the state. */
  async state(): Promise<{ resources: string[]; pending: string[] }> {
    const text = await this.pulumi("stack", "export", "--stack", environment);
    const { deployment } = JSON.parse(text) as {
      deployment: { resources?: { urn: string }[]; pending_operations?: { resource: { urn: string } }[] };
    };
    return {
      resources: (deployment.resources ?? []).map(({ urn }) => urn),
      pending: (deployment.pending_operations ?? []).map(({ resource }) => resource.urn),
    };
  }

  /**
   * What a killed update has begun to make stays in the state as pending; updates go on beside it with a warning, until
   * somebody clears it. @throws {Error} it does not go away
   */
  async clearPending(): Promise<void> {
    if ((await this.state()).pending.length === 0) return;
    await this.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates", "--stack", environment);
    const { pending } = await this.state();
    if (pending.length > 0) throw new Error(`pending operations stay in the state: ${pending.join(", ")}`);
  }

  /** Locks of the stack that lie in the backend. */
  async locks(): Promise<string[]> {
    const folder = join(this.folder, "backend", ".pulumi", "locks", "organization", "release-coordinator", environment);
    return (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".json"));
  }

  async cancel(): Promise<void> {
    await this.pulumi("cancel", "--yes", "--stack", environment);
  }

  async close(): Promise<void> {
    for (const process of this.#processes) await process.end();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  #start(command: string, words: readonly string[], variables: Record<string, string>): UpdateProcess {
    const env = { ...process.env, ...this.#environment, ...variables };
    const started = new UpdateProcess(command, words, this.program, env);
    this.#processes.push(started);
    return started;
  }
}
