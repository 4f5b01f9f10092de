import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { execa } from "execa";
import { repositoryFolder } from "../../../local/folders.ts";
import { installPlugins } from "../../../local/plugins/install.ts";
import { findFreePort } from "../../../local/servers/free-port.ts";
import { pulumiTool } from "../../../local/toolchain/pulumi.ts";
import { ensurePython } from "../../../local/toolchain/python.ts";
import { resolveTool } from "../../../local/toolchain/resolve-tool.ts";
import { allReleases, getRelease } from "../../../releases/catalog.ts";
import { pinOf } from "../../../releases/pin.ts";
import { databaseUrl } from "../../servers.ts";
import { FleetHost } from "./fleet-host.ts";
import { differences, filesFingerprint, postgresFingerprint, vaultFingerprint } from "./world-fingerprint.ts";
import type { Fingerprint } from "./world-fingerprint.ts";
import { WorldServers } from "./world-servers.ts";

export const r1 = pinOf(getRelease("r1"));
export const r2 = pinOf(getRelease("r2"));
export const passphrase = "passphrase-of-the-refusals";
/** Stands in every prompt of the world: no output may show it. */
export const plaintext = "a very confidential prompt";

/** Stack file with the given pins; `more` are further lines of the environment. */
export function stackText(now: string, back: string, more: readonly string[] = []): string {
  return `config:
  release-coordinator:environment:
    name: dev
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
      - { name: canary, selector: { tags: [canary] } }
      - { name: general, selector: { rest: true } }
    pins:
      canary: { now: ${now}, back: ${back} }
      general: { now: ${now}, back: ${back} }
    tenants:
      - { id: acme, tags: [canary] }
      - { id: cobalt, tags: [] }
${more.map((line) => `    ${line}\n`).join("")}`;
}

/** How a command ended. */
export interface ProcessEnd {
  readonly exitCode: number;
  readonly output: string;
}

/**
 * The real program in a folder of its own, on a `file://` backend, with a real PostgreSQL and a real Vault; made once and
 * used by many cases, each of which leaves it as it was. Only Docker is stood in for (see `FleetHost`).
 */
export class RefusalWorld {
  readonly folder: string;
  readonly servers: WorldServers;
  readonly fleets: FleetHost;
  readonly #variables: Record<string, string>;
  #release: "r1" | "r2" = "r1";

  private constructor(folder: string, servers: WorldServers, fleets: FleetHost, variables: Record<string, string>) {
    this.folder = folder;
    this.servers = servers;
    this.fleets = fleets;
    this.#variables = variables;
  }

  /** An environment with two tenants, a few rows each, on R1. Takes one `pulumi up`. */
  static async make(): Promise<RefusalWorld> {
    const [{ binFolders }, servers] = await Promise.all([
      resolveTool(pulumiTool, () => undefined),
      WorldServers.start(),
    ]);
    const folder = await mkdtemp(join(tmpdir(), "refusals-"));
    const fleets = new FleetHost();
    const at = (name: string) => join(folder, name);
    const variables = {
      PATH: [dirname(process.execPath), ...binFolders, process.env["PATH"] ?? ""].join(delimiter),
      PULUMI_HOME: at("pulumi"),
      PULUMI_BACKEND_URL: `file://${at("backend")}`,
      PULUMI_CONFIG_PASSPHRASE: passphrase,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      PULUMI_PARALLEL_DIFF: "true",
      NODE_COMPILE_CACHE: at("compile-cache"),
      RC_POSTGRES_URL: servers.postgresUrl,
      RC_VAULT_ADDR: servers.vaultAddress,
      RC_VAULT_TOKEN: servers.vaultToken,
      RC_IMAGES_FILE: at("images.json"),
      RC_FLAGS_FILE: at("flags.json"),
      RC_GATEWAY_URL: "http://127.0.0.1:1",
      RC_FLEET_BASE_PORT: String(await findFreePort(100)),
      RC_PYTHON: await ensurePython(),
      RC_OPERATOR: "ana",
      DOCKER_HOST: await fleets.start(),
    };
    const world = new RefusalWorld(folder, servers, fleets, variables);
    try {
      await world.#fill();
      return world;
    } catch (error) {
      await world.close();
      throw error;
    }
  }

  get program(): string {
    return join(this.folder, "program");
  }

  get stackFile(): string {
    return join(this.program, "Pulumi.dev.yaml");
  }

  get backend(): string {
    return join(this.folder, "backend");
  }

  /** What no output of a refused command may hold. */
  get secrets(): readonly string[] {
    const { postgresUrl, vaultToken, unsealKey } = this.servers;
    return [new URL(postgresUrl).password, vaultToken, unsealKey, passphrase, plaintext];
  }

  /** Brings the environment to R2, which everything on R1 has to come before. */
  async reach(release: "r1" | "r2"): Promise<void> {
    if (this.#release === release) return;
    if (release === "r1") throw new Error("the cases on R1 come before those on R2");
    await this.writeStackFile(stackText(r2, r1));
    await this.succeed("up", "--yes", "--skip-preview", "--message", `promote ${r2}`);
    this.#release = "r2";
  }

  /** Told by a case that has moved the environment itself. */
  hasReached(release: "r2"): void {
    this.#release = release;
  }

  /** The stack file keeps the salt that `pulumi stack init` gave it. */
  async writeStackFile(text: string): Promise<void> {
    const before = await readFile(this.stackFile, "utf8").catch(() => "");
    const salt = /^encryptionsalt: .*\n/m.exec(before)?.[0] ?? "";
    await writeFile(this.stackFile, salt + text);
  }

  readStackFile(): Promise<string> {
    return readFile(this.stackFile, "utf8");
  }

  restoreStackFile(text: string): Promise<void> {
    return writeFile(this.stackFile, text);
  }

  /** Writes a changed file of the program. @returns its text before */
  async editProgram(path: string, edit: (text: string) => string): Promise<string> {
    const file = join(this.program, path);
    const before = await readFile(file, "utf8");
    await writeFile(file, edit(before));
    return before;
  }

  /**
   * The resources in the state by URN, without the times at which they were looked at. Every update encrypts secrets anew, and
   * one that fails takes the outputs of components; neither they nor the providers' settings stand for anything in the world.
   */
  async resources(): Promise<Fingerprint> {
    const file = join(this.backend, ".pulumi", "stacks", "release-coordinator", "dev.json");
    const state = JSON.parse(await readFile(file, "utf8")) as {
      checkpoint: { latest: { resources: Record<string, unknown>[] } };
    };
    const real = state.checkpoint.latest.resources.filter(
      ({ custom, type }) => custom === true && !String(type).startsWith("pulumi:"),
    );
    return new Map(
      real.map(({ modified: _at, ...resource }) => [
        String(resource["urn"]),
        JSON.stringify(resource).replaceAll(/"ciphertext":"[^"]*"/g, ""),
      ]),
    );
  }

  /** Environment of the processes of this world. */
  variables(changes: Readonly<Record<string, string | undefined>> = {}): NodeJS.ProcessEnv {
    return { ...process.env, ...this.#variables, ...changes };
  }

  /** Runs `pulumi <words>` or `coordinator <words>` in the program's folder. */
  async run(
    command: "pulumi" | "coordinator",
    words: readonly string[],
    changes: Readonly<Record<string, string | undefined>> = {},
  ): Promise<ProcessEnd> {
    const options = { cwd: this.program, env: this.variables(changes), extendEnv: false, reject: false, all: true };
    const ended =
      command === "pulumi"
        ? await execa("pulumi", [...words, "--non-interactive", "--color", "never"], { ...options, all: true })
        : await execa(process.execPath, ["coordinator/main.ts", ...words], { ...options, all: true });
    return { exitCode: ended.exitCode ?? -1, output: ended.all };
  }

  /** @throws with the output of a pulumi command that fails */
  async succeed(...words: readonly string[]): Promise<string> {
    const { exitCode, output } = await this.run("pulumi", words);
    if (exitCode !== 0) throw new Error(`pulumi ${words.join(" ")} ended with ${exitCode}:\n${output}`);
    return output;
  }

  /** Everything that a refused run must leave alone; that somebody tried may be added to the evidence. */
  async fingerprint(): Promise<Fingerprint> {
    const files = [
      join(this.backend, ".pulumi"),
      this.stackFile,
      join(this.folder, "flags.json"),
      join(this.folder, "images.json"),
    ];
    const parts = await Promise.all([
      filesFingerprint(this.folder, files),
      postgresFingerprint(this.servers),
      vaultFingerprint(this.servers, "transit-dev"),
    ]);
    return new Map([...parts.flatMap((part) => [...part]), ["containers", this.fleets.containers().join("\n")]]);
  }

  /** @throws naming what differs from an earlier fingerprint */
  async assertUnchanged(before: Fingerprint, when: string): Promise<void> {
    const changed = differences(before, await this.fingerprint());
    if (changed.length > 0) throw new Error(`${when} has changed: ${changed.join("; ")}`);
  }

  async close(): Promise<void> {
    await this.fleets.stop();
    await this.servers.stop();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async #fill(): Promise<void> {
    for (const name of ["program", "backend", "pulumi"]) await mkdir(join(this.folder, name));
    for (const part of [
      "index.ts",
      "Pulumi.yaml",
      "package.json",
      "releases",
      "components",
      "migrations",
      "coordinator",
    ])
      await cp(join(repositoryFolder, part), join(this.program, part), { recursive: true });
    await symlink(join(repositoryFolder, "node_modules"), join(this.program, "node_modules"));
    const names = allReleases().flatMap(({ id, services }) => services.map(({ name }) => `${id}/${name}`));
    const images = [...names, "keeper"].map((name) => [name, { image: `rc/${name}:1`, digest: "sha256:0" }] as const);
    await writeFile(join(this.folder, "images.json"), JSON.stringify(Object.fromEntries(images)));
    await installPlugins({ env: this.variables() });
    await this.succeed("stack", "init", "dev");
    await this.writeStackFile(stackText(r1, "none"));
    await this.succeed("up", "--yes", "--skip-preview", "--message", `promote ${r1}`);
    for (const tenant of ["tenant_acme", "tenant_cobalt"]) await this.servers.sql(tenant, seed);
    const verified = `INSERT INTO registry.verification VALUES ('dev', 'r1', '${r1.slice(3)}', now(), '{}')`;
    await this.servers.sql("rc_registry", verified);
  }
}

const seed = `WITH added AS (INSERT INTO prompts (title) SELECT 'prompt ' || n FROM generate_series(1, 20) AS n RETURNING id)
  INSERT INTO prompt_bodies SELECT id, '${plaintext} ' || id FROM added`;

/** URL of a database of the world under another login. */
export function loginUrl(world: RefusalWorld, login: string, password: string): string {
  const url = new URL(databaseUrl("postgres", world.servers.postgresUrl));
  url.username = login;
  url.password = password;
  return url.href;
}
