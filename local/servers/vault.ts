import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureDataFolder } from "../folders.ts";
import { ensureVault } from "../toolchain/vault.ts";
import { findSecretFile, writeSecretFile } from "./secret-file.ts";
import { findProcess, startProcess, stopProcess, waitUntilReady } from "./server-process.ts";
import type { ProcessMark } from "./server-process.ts";

export interface VaultArgs {
  /** `.local` folder: gets the log, the pid file, the configuration, the root token and the unseal key. */
  readonly homeFolder: string;
  /** Parent of the data folder. */
  readonly dataFolder: string;
  readonly port: number;
  /** Port of the node's own raft traffic; nothing else uses it. */
  readonly clusterPort: number;
  /** Whether the server dies with this process. @default false */
  readonly isTiedToParent?: boolean;
}

export interface RunningVault {
  /** `http://127.0.0.1:<port>` */
  readonly address: string;
  readonly rootToken: string;
  readonly pid: number;
  /** Whether it was running before. */
  readonly isAdopted: boolean;
}

/** What opens the vault again after a restart. */
interface VaultSecrets {
  readonly rootToken: string;
  readonly unsealKey: string;
}

const configurationFile = (args: Pick<VaultArgs, "homeFolder">): string => join(args.homeFolder, "vault.json");
const secretsFile = (args: Pick<VaultArgs, "homeFolder">): string => join(args.homeFolder, "secrets", "vault.json");
const raftFolder = (args: Pick<VaultArgs, "dataFolder">): string => join(args.dataFolder, "vault");
const processMark = (args: Pick<VaultArgs, "homeFolder">): ProcessMark => ({
  pidFile: join(args.homeFolder, "run", "vault.pid"),
  inCommandLine: `-config=${configurationFile(args)}`,
});

/** Pid of the embedded Vault, or undefined when it does not run. */
export const findVault = (args: Pick<VaultArgs, "homeFolder">): number | undefined => findProcess(processMark(args));

/**
 * Starts the embedded Vault (one node, raft storage, not dev mode), or adopts the one that runs; initialises it on
 * first use and unseals it. Root token and unseal key are kept in the home folder only, readable by us alone.
 * @throws {Error} when it does not come up, or when its data is there but its unseal key is gone
 */
export async function startVault(args: VaultArgs): Promise<RunningVault> {
  const binary = await ensureVault();
  const address = `http://127.0.0.1:${args.port}`;
  const mark = processMark(args);
  const logFile = join(args.homeFolder, "log", "vault.log");

  const running = findProcess(mark);
  if (running === undefined) await writeConfiguration(args);
  const pid =
    running ??
    startProcess({
      ...mark,
      command: binary,
      arguments: ["server", `-config=${configurationFile(args)}`],
      logFile,
      isTiedToParent: args.isTiedToParent,
    });
  const ready = { ...mark, name: "Vault", logFile, timeoutMs: 60_000 };
  await waitUntilReady({ ...ready, isReady: async () => (await sealStatus(address)) !== undefined });
  const secrets = await ensureInitialised(args, address);
  if ((await sealStatus(address))?.sealed) await call(address, "PUT", "sys/unseal", { key: secrets.unsealKey });
  await waitUntilReady({ ...ready, isReady: () => isActive(address) });
  return { address, rootToken: secrets.rootToken, pid, isAdopted: running !== undefined };
}

/** Stops the embedded Vault; it is sealed until the next start. */
export const stopVault = (args: Pick<VaultArgs, "homeFolder">): Promise<boolean> => stopProcess(processMark(args));

async function writeConfiguration(args: VaultArgs): Promise<void> {
  const folder = raftFolder(args);
  // A kill between initialisation and the writing of the key leaves a vault that nobody can open and nobody has used.
  if (existsSync(folder) && !existsSync(secretsFile(args)) && existsSync(initialisingFile(args)))
    await rm(folder, { recursive: true, force: true });
  await ensureDataFolder(args.dataFolder);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await mkdir(args.homeFolder, { recursive: true, mode: 0o700 });
  const configuration = {
    storage: { raft: { path: folder, node_id: "local", performance_multiplier: 1 } },
    listener: { tcp: { address: `127.0.0.1:${args.port}`, tls_disable: true } },
    api_addr: `http://127.0.0.1:${args.port}`,
    cluster_addr: `http://127.0.0.1:${args.clusterPort}`,
    disable_mlock: true,
    ui: false,
    log_level: "warn",
    raw_storage_endpoint: false,
  };
  await writeFile(configurationFile(args), `${JSON.stringify(configuration, undefined, 2)}\n`, { mode: 0o600 });
}

const initialisingFile = (args: Pick<VaultArgs, "homeFolder">): string => `${secretsFile(args)}.initialising`;

async function ensureInitialised(args: VaultArgs, address: string): Promise<VaultSecrets> {
  const known = await findSecretFile(secretsFile(args));
  const isInitialised = (await sealStatus(address))?.initialized === true;
  if (isInitialised) {
    if (known !== undefined) return JSON.parse(known) as VaultSecrets;
    throw new Error(
      `${secretsFile(args)} is gone but its data is in ${raftFolder(args)}; run \`make clean && make up\` to start afresh`,
    );
  }
  await writeSecretFile(initialisingFile(args), "");
  const reply = await call(address, "PUT", "sys/init", { secret_shares: 1, secret_threshold: 1 });
  const { keys_base64: keys, root_token: rootToken } = reply as { keys_base64: string[]; root_token: string };
  const secrets: VaultSecrets = { rootToken, unsealKey: keys[0] as string };
  await writeSecretFile(secretsFile(args), `${JSON.stringify(secrets, undefined, 2)}\n`);
  await rm(initialisingFile(args), { force: true });
  return secrets;
}

async function call(address: string, method: string, path: string, body?: object): Promise<unknown> {
  const request = { method, signal: AbortSignal.timeout(10_000), ...(body && { body: JSON.stringify(body) }) };
  const response = await fetch(`${address}/v1/${path}`, request);
  if (!response.ok) throw new Error(`Vault at ${address} answered ${response.status} to ${method} ${path}`);
  return response.json();
}

const sealStatus = async (address: string): Promise<{ initialized: boolean; sealed: boolean } | undefined> =>
  (await call(address, "GET", "sys/seal-status")) as { initialized: boolean; sealed: boolean };

/** Whether the node leads its cluster of one, which takes a moment after the unsealing. */
async function isActive(address: string): Promise<boolean> {
  const response = await fetch(`${address}/v1/sys/health`, { signal: AbortSignal.timeout(2000) });
  await response.body?.cancel();
  return response.status === 200;
}
