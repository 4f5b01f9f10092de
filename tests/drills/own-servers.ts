import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findFreePort } from "../../local/servers/free-port.ts";
import { findPostgres, startPostgres, stopPostgres, type PostgresArgs } from "../../local/servers/postgres.ts";
import { startVault, stopVault, type VaultArgs } from "../../local/servers/vault.ts";
import { getVault } from "../servers.ts";
import { SmallVolume } from "./small-volume.ts";

/** As few as the drill's own sessions leave room for: a case fills the rest. */
const maxConnections = 60;

/** A PostgreSQL and a Vault for one drill alone, which stops, seals and fills them; they die with this process. */
export class OwnServers {
  readonly #folder: string;
  readonly #postgres: PostgresArgs;
  readonly #vault: VaultArgs;
  readonly #before: Readonly<Record<string, string | undefined>>;

  private constructor(folder: string, postgres: PostgresArgs, vault: VaultArgs) {
    this.#folder = folder;
    this.#postgres = postgres;
    this.#vault = vault;
    this.#before = Object.fromEntries(variables.map((name) => [name, process.env[name]]));
  }

  /** Starts both; until `end` they are the servers of every test of this process. */
  static async start(): Promise<OwnServers> {
    const folder = await mkdtemp(join(tmpdir(), "release-coordinator-drill-"));
    await chmod(folder, 0o711); // PostgreSQL's account must get through to its data
    const place = { homeFolder: join(folder, "home"), dataFolder: join(folder, "data"), isTiedToParent: true };
    const taken = new Set<number>();
    for (let nth = 0; nth < 3; nth += 1) taken.add(await findFreePort(1, taken));
    const [postgresPort, vaultPort, clusterPort] = [...taken] as [number, number, number];
    // Durable: what a server has acknowledged must survive its immediate stop.
    const postgres = { ...place, port: postgresPort, maxConnections };
    const vault = { ...place, port: vaultPort, clusterPort };
    const servers = new OwnServers(folder, postgres, vault);
    try {
      const [{ url }, { address, rootToken }] = await Promise.all([startPostgres(postgres), startVault(vault)]);
      Object.assign(process.env, {
        RC_TEST_POSTGRES_URL: url,
        RC_TEST_VAULT_ADDR: address,
        RC_TEST_VAULT_TOKEN: rootToken,
      });
      return servers;
    } catch (error) {
      await servers.end();
      throw error;
    }
  }

  /** `immediate` is a crash: no checkpoint, no goodbye, recovery at the next start (`pg_ctl stop -m immediate`). */
  async stopPostgres(mode: "immediate" | "fast"): Promise<void> {
    if (mode === "fast") return void (await stopPostgres(this.#postgres));
    const pid = findPostgres(this.#postgres);
    if (pid === undefined) throw new Error("PostgreSQL does not run");
    process.kill(pid, "SIGQUIT");
    while (findPostgres(this.#postgres) !== undefined) await sleep(10);
  }

  async startPostgres(): Promise<void> {
    await startPostgres(this.#postgres);
  }

  async sealVault(): Promise<void> {
    await this.vault("PUT", "sys/seal");
  }

  /** Starts Vault if it does not run, and unseals it. */
  async startVault(): Promise<void> {
    await startVault(this.#vault);
  }

  async stopVault(): Promise<void> {
    await stopVault(this.#vault);
  }

  /** A request with the root token. @throws {Error} it is refused */
  async vault(method: string, path: string, body?: object | Buffer): Promise<Buffer> {
    const { address, token } = getVault();
    const answer = await fetch(`${address}/v1/${path}`, {
      method,
      headers: { "X-Vault-Token": token },
      ...(body === undefined ? {} : { body: Buffer.isBuffer(body) ? new Uint8Array(body) : JSON.stringify(body) }),
    });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (!answer.ok) throw new Error(`Vault answered ${answer.status} to ${method} ${path}: ${bytes.toString()}`);
    return bytes;
  }

  async end(): Promise<void> {
    await Promise.allSettled([stopPostgres(this.#postgres), stopVault(this.#vault)]);
    await SmallVolume.unmountAll();
    await rm(this.#folder, { recursive: true, force: true });
    for (const [name, value] of Object.entries(this.#before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

const variables = ["RC_TEST_POSTGRES_URL", "RC_TEST_VAULT_ADDR", "RC_TEST_VAULT_TOKEN"];
