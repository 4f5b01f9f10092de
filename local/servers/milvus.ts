import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MilvusClient } from "@zilliz/milvus2-sdk-node";
import { ensureDataFolder } from "../folders.ts";
import { ensureMilvus } from "../toolchain/milvus.ts";
import { milvusConfiguration, milvusHealthPort } from "./milvus-configuration.ts";
import { findSecretFile, randomSecret, writeSecretFile } from "./secret-file.ts";
import { findProcess, startProcess, stopProcess, waitUntilReady } from "./server-process.ts";
import type { ProcessMark } from "./server-process.ts";

export interface MilvusArgs {
  /** `.local` folder: gets the log, the pid file and the password of `root`. */
  readonly homeFolder: string;
  /** Parent of the data folder. */
  readonly dataFolder: string;
  /** First of `milvusPorts` free ports in a row; this one is for clients. */
  readonly firstPort: number;
  /** Whether the server dies with this process. @default false */
  readonly isTiedToParent?: boolean;
}

export interface RunningMilvus {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** Of the user `root`. */
  readonly password: string;
  readonly pid: number;
  /** Whether it was running before. */
  readonly isAdopted: boolean;
}

type Place = Pick<MilvusArgs, "homeFolder" | "dataFolder">;

const milvusFolder = (args: Place): string => join(args.dataFolder, "milvus");
const passwordFile = (args: Place): string => join(args.homeFolder, "secrets", "milvus");
/** Milvus takes no argument that would tell one from another: a name of its own does, a link to the binary. */
const ownName = (args: Place): string => join(milvusFolder(args), "milvus");
const processMark = (args: Place): ProcessMark => ({
  pidFile: join(args.homeFolder, "run", "milvus.pid"),
  inCommandLine: `${ownName(args)} run standalone`,
});

/** Pid of the embedded Milvus, or undefined when it does not run. */
export const findMilvus = (args: Place): number | undefined => findProcess(processMark(args));

/**
 * Starts the embedded Milvus (standalone, its own etcd, files on this disk, passwords on), or adopts the one that runs. The
 * password of `root` is random and kept in the home folder, readable by us alone. Clients reach it on 127.0.0.1; but this
 * version listens on every address of the machine, and the ports of its parts among themselves ask for no password: it is
 * for a laptop behind a firewall and for CI.
 *
 * @throws {Error} when it does not come up, or when its data is there but its password is gone
 */
export async function startMilvus(args: MilvusArgs): Promise<RunningMilvus> {
  const binary = await ensureMilvus();
  const mark = processMark(args);
  const logFile = join(args.homeFolder, "log", "milvus.log");
  const folder = milvusFolder(args);
  const running = findProcess(mark);
  if (running === undefined) await writeConfiguration(args, binary);
  const pid =
    running ??
    startProcess({
      ...mark,
      command: ownName(args),
      arguments: ["run", "standalone"],
      logFile,
      isTiedToParent: args.isTiedToParent,
      workingFolder: folder,
      environment: {
        ...process.env,
        DEPLOY_MODE: "STANDALONE",
        METRICS_PORT: String(milvusHealthPort(args)),
        MILVUSCONF: join(folder, "configs"),
        MILVUS_RUN_DIR: join(folder, "run"),
        LD_LIBRARY_PATH: dirname(binary),
      },
    });
  const ready = { ...mark, name: "Milvus", logFile, timeoutMs: 120_000 };
  await waitUntilReady({ ...ready, isReady: () => isHealthy(args) });
  const address = `127.0.0.1:${args.firstPort}`;
  const password = await ensurePassword(args, address);
  await waitUntilReady({ ...ready, isReady: () => acceptsPassword(address, password) });
  return { address, password, pid, isAdopted: running !== undefined };
}

/** Stops the embedded Milvus; what it has acknowledged is kept. */
export const stopMilvus = (args: Place): Promise<boolean> => stopProcess(processMark(args));

async function writeConfiguration(args: MilvusArgs, binary: string): Promise<void> {
  const folder = milvusFolder(args);
  await ensureDataFolder(args.dataFolder);
  for (const part of ["configs", "run"]) await mkdir(join(folder, part), { recursive: true, mode: 0o700 });
  await mkdir(args.homeFolder, { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(milvusConfiguration({ folder, firstPort: args.firstPort })))
    await writeFile(join(folder, "configs", name), text, { mode: 0o600 });
  await rm(ownName(args), { force: true });
  await symlink(binary, ownName(args));
}

async function isHealthy(args: MilvusArgs): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${milvusHealthPort(args)}/healthz`, {
    signal: AbortSignal.timeout(2000),
  });
  const text = await response.text();
  return response.status === 200 && text.includes("OK");
}

/** Password that Milvus gives `root` when it starts for the first time. */
const factoryPassword = "Milvus";

/** Written before it is set: a kill between the two is seen here, by the password that still works. */
async function ensurePassword(args: MilvusArgs, address: string): Promise<string> {
  const known = await findSecretFile(passwordFile(args));
  const password = known ?? randomSecret();
  if (known === undefined) await writeSecretFile(passwordFile(args), `${password}\n`);
  if (await acceptsPassword(address, password)) return password;
  if (!(await acceptsPassword(address, factoryPassword)))
    throw new Error(
      `${passwordFile(args)} does not hold the password of the data in ${milvusFolder(args)}; run \`make clean && make up\` to start afresh`,
    );
  await withClient(address, factoryPassword, (client) =>
    client.updatePassword({ username: "root", oldPassword: factoryPassword, newPassword: password }),
  );
  return password;
}

async function acceptsPassword(address: string, password: string): Promise<boolean> {
  try {
    const reply = await withClient(address, password, (client) => client.listDatabases());
    return (reply.status as { error_code?: string } | undefined)?.error_code === "Success";
  } catch {
    return false;
  }
}

async function withClient<T>(
  address: string,
  password: string,
  work: (client: MilvusClient) => Promise<T>,
): Promise<T> {
  const client = new MilvusClient({ address, username: "root", password, timeout: 5000, maxRetries: 0 });
  try {
    await client.connectPromise;
    return await work(client);
  } finally {
    await client.closeConnection();
  }
}
