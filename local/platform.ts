import { existsSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { ensureEndpoints, endpointsFile, findEndpoints } from "./endpoints.ts";
import { platformEnvironment, writeEnvironmentFile } from "./environment-file.ts";
import { dataFolder, homeFolder } from "./folders.ts";
import { findGateway, startGateway, stopGateway } from "./gateway/gateway.ts";
import { removeContainers } from "./servers/containers.ts";
import { findDocker, startDocker, stopDocker } from "./servers/docker.ts";
import { findPostgres, startPostgres, stopPostgres } from "./servers/postgres.ts";
import { writeSecretFile } from "./servers/secret-file.ts";
import { findVault, startVault, stopVault } from "./servers/vault.ts";
import { withLock } from "./toolchain/cache-lock.ts";
import { installToolchain } from "./toolchain/install.ts";
import type { Toolchain } from "./toolchain/install.ts";

export interface PlatformArgs {
  /** `.local` folder; each one is a platform with ports and data of its own. @default RC_HOME or `<repository>/.local` */
  readonly homeFolder?: string;
  /** Gets one short line for everything that starts or stops. */
  readonly onProgress?: (text: string) => void;
}

/** Fits the salt in the tracked Pulumi.dev.yaml; public on purpose, see docs/adr/0003. */
const devPassphrase = "local-development-only";

/** One server of a platform as `status` sees it. */
export interface ServerStatus {
  readonly name: string;
  /** Process id, or undefined when the platform's own server does not run. */
  readonly pid: number | undefined;
  readonly port: number | undefined;
}

/** An embedded platform: PostgreSQL, Vault, Docker and the gateway, with their ports, secrets and data. */
export class Platform {
  readonly homeFolder: string;
  /** Parent of the servers' data folders; derived from the home folder, so that two platforms never share it. */
  readonly dataFolder: string;
  readonly #onProgress: (text: string) => void;
  #environment: Readonly<Record<string, string>> | undefined;

  constructor(args: PlatformArgs = {}) {
    this.homeFolder = resolve(args.homeFolder ?? homeFolder());
    this.dataFolder = dataFolder(this.homeFolder);
    this.#onProgress = args.onProgress ?? (() => undefined);
  }

  /** Environment for every command on this platform: its variables on top of this process's. @throws before `start` */
  get environment(): Readonly<Record<string, string>> {
    if (this.#environment === undefined)
      throw new Error(`the platform in ${this.homeFolder} is not started; run \`make up\``);
    return this.#environment;
  }

  /** Runs `work` while no other process starts, stops or cleans this platform. */
  withLock<T>(work: () => Promise<T>): Promise<T> {
    const waiting = (): void => this.#onProgress("another make is at work on this platform, waiting for it");
    // Beside the data folder, not in it: `clean` removes the data folder while it holds the lock.
    return withLock(`${this.dataFolder}.lock`, work, waiting);
  }

  /**
   * Starts what does not run and adopts what does, whatever was killed before; writes `env`.
   * @param toolchain what `installToolchain` found. @default found now
   */
  async start(toolchain?: Toolchain): Promise<void> {
    const tools = toolchain ?? (await installToolchain(this.#onProgress));
    const endpoints = await ensureEndpoints(this.homeFolder);
    for (const folder of ["log", "run", "backend", "pulumi", "secrets"])
      await mkdir(join(this.homeFolder, folder), { recursive: true, mode: 0o700 });
    const starting = [
      this.#start("PostgreSQL", findPostgres, () => startPostgres({ ...this.#place(), port: endpoints.postgresPort })),
      this.#start("Vault", findVault, () =>
        startVault({ ...this.#place(), port: endpoints.vaultPort, clusterPort: endpoints.vaultClusterPort }),
      ),
      this.#start("Docker", findDocker, () => startDocker(this.#place(), this.#onProgress)),
    ] as const;
    // Wait for all, so that nothing is still starting when a fault is told.
    await Promise.allSettled(starting);
    const [postgres, vault, docker] = await Promise.all(starting);
    const args = {
      homeFolder: this.homeFolder,
      endpoints,
      postgresUrl: postgres.url,
      vaultAddress: vault.address,
      vaultToken: vault.rootToken,
      dockerHost: docker.host,
      python: tools.python,
      passphraseFile: await this.#ensurePassphrase(),
      binFolders: [...tools.binFolders, ...docker.binFolders],
    };
    await writeEnvironmentFile(args);
    this.#environment = platformEnvironment(args);
    await this.#start("gateway", findGateway, () =>
      startGateway({ ...endpoints, homeFolder: this.homeFolder, postgresUrl: postgres.url }),
    );
  }

  /** What runs and where. */
  async status(): Promise<ServerStatus[]> {
    const endpoints = await findEndpoints(this.homeFolder);
    return [
      { name: "PostgreSQL", pid: findPostgres(this.#place()), port: endpoints?.postgresPort },
      { name: "Vault", pid: findVault(this.#place()), port: endpoints?.vaultPort },
      { name: "Docker", pid: findDocker(this.#place()), port: undefined },
      { name: "gateway", pid: findGateway({ homeFolder: this.homeFolder }), port: endpoints?.gatewayPort },
    ];
  }

  /** Stops the containers and every server of this platform; data, ports and secrets stay. */
  async stop(): Promise<void> {
    const stopped = (name: string, ran: boolean): void =>
      this.#onProgress(`${name}: ${ran ? "stopped" : "did not run"}`);
    // From the outside in, so that nobody complains of a server that has gone before it.
    stopped("gateway", await stopGateway({ homeFolder: this.homeFolder }));
    await this.#releaseContainers("stop");
    stopped("Docker", await stopDocker(this.#place()));
    stopped("Vault", await stopVault(this.#place()));
    stopped("PostgreSQL", await stopPostgres(this.#place()));
  }

  /** Stops everything and removes data, ports, secrets and Pulumi's state; the cache of tools stays. */
  async clean(): Promise<void> {
    const isPlatform = existsSync(endpointsFile(this.homeFolder));
    if (!isPlatform && !existsSync(this.dataFolder)) {
      this.#onProgress(`nothing to clean: ${this.homeFolder} holds no platform`);
      return;
    }
    await this.#releaseContainers("remove");
    await this.stop();
    await unmountBelow(this.dataFolder);
    await rm(this.dataFolder, { recursive: true, force: true });
    // Only what is a platform's: a mistyped RC_HOME must not cost somebody's folder.
    if (isPlatform) await rm(this.homeFolder, { recursive: true, force: true });
    this.#onProgress(`removed ${this.homeFolder} and ${this.dataFolder}`);
  }

  #place(): { homeFolder: string; dataFolder: string } {
    return { homeFolder: this.homeFolder, dataFolder: this.dataFolder };
  }

  async #start<T>(
    name: string,
    find: (place: { homeFolder: string; dataFolder: string }) => number | undefined,
    start: () => Promise<T>,
  ): Promise<T> {
    const startedAtMs = performance.now();
    const adopted = find(this.#place());
    const result = await start().catch((error: unknown) => {
      // A server that was killed is still there for a moment: what was adopted may have been dying.
      if (adopted === undefined || find(this.#place()) === adopted) throw error;
      return start();
    });
    this.#onProgress(`${name}: up after ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`);
    return result;
  }

  async #ensurePassphrase(): Promise<string> {
    const file = join(this.homeFolder, "secrets", "pulumi-passphrase");
    await writeSecretFile(file, `${devPassphrase}\n`);
    return file;
  }

  /** On a daemon that is not ours, our containers must go one by one: it goes on running without us. */
  async #releaseContainers(how: "stop" | "remove"): Promise<void> {
    const endpoints = await findEndpoints(this.homeFolder);
    if (endpoints === undefined || findDocker(this.#place()) !== undefined) return;
    const count = await removeContainers({ ...this.#place(), postgresPort: endpoints.postgresPort, how });
    if (count > 0) this.#onProgress(`containers: ${count} ${how === "stop" ? "stopped" : "removed"}`);
  }
}

/** A daemon that was killed leaves the mounts of its containers, which keep its folder from being removed. */
async function unmountBelow(folder: string): Promise<void> {
  const mounts = await readFile("/proc/self/mounts", "utf8");
  const points = mounts.split("\n").map((line) => line.split(" ")[1] ?? "");
  // The deepest first.
  for (const point of points.filter((path) => path.startsWith(`${folder}/`)).reverse())
    await execa("umount", ["--lazy", point], { reject: false });
}
