import { existsSync } from "node:fs";
import { chmod, chown, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import pg from "pg";
import { ensureDataFolder } from "../folders.ts";
import { ensurePostgres } from "../toolchain/postgres.ts";
import { findSecretFile, randomSecret, writeSecretFile } from "./secret-file.ts";
import { findProcess, logTail, startProcess, stopProcess, waitUntilReady } from "./server-process.ts";
import type { ProcessMark } from "./server-process.ts";
import { findServerUser } from "./server-user.ts";
import type { ServerUser } from "./server-user.ts";

/** Superuser of the embedded PostgreSQL. */
export const operatorRole = "rc_operator";

export interface PostgresArgs {
  /** `.local` folder: gets the log, the pid file and the password. */
  readonly homeFolder: string;
  /** Parent of the data folder; must be traversable by the account of `findServerUser`. */
  readonly dataFolder: string;
  readonly port: number;
  /** @default 300 */
  readonly maxConnections?: number;
  /** Whether commits survive a power cut. Tests turn it off; kill -9 loses nothing either way. @default true */
  readonly isDurable?: boolean;
  /** Whether the server dies with this process. @default false */
  readonly isTiedToParent?: boolean;
  /** Further settings, `name=value`; the last one of a name holds. @default none */
  readonly settings?: readonly string[];
}

export interface RunningPostgres {
  /** `postgresql://rc_operator:<password>@127.0.0.1:<port>/postgres` */
  readonly url: string;
  readonly pid: number;
  /** Whether it was running before. */
  readonly isAdopted: boolean;
}

const clusterFolder = (args: Pick<PostgresArgs, "dataFolder">): string => join(args.dataFolder, "postgres");

function processMark(args: Pick<PostgresArgs, "homeFolder" | "dataFolder">): ProcessMark {
  return { pidFile: join(args.homeFolder, "run", "postgres.pid"), inCommandLine: clusterFolder(args) };
}

/** Pid of the embedded PostgreSQL, or undefined when it does not run. */
export const findPostgres = (args: Pick<PostgresArgs, "homeFolder" | "dataFolder">): number | undefined =>
  findProcess(processMark(args));

/**
 * Starts the embedded PostgreSQL, creating its cluster on first use, or adopts the one that runs. As root it runs as
 * another account, because PostgreSQL refuses root. Listens on 127.0.0.1 only, SCRAM passwords, no socket file.
 * @throws {Error} with the end of the server's log when it does not come up
 */
export async function startPostgres(args: PostgresArgs): Promise<RunningPostgres> {
  const binFolder = await ensurePostgres();
  const user = findServerUser();
  const password = await ensureCluster(args, binFolder, user);
  const url = `postgresql://${operatorRole}:${password}@127.0.0.1:${args.port}/postgres`;
  const mark = processMark(args);
  const logFile = join(args.homeFolder, "log", "postgres.log");

  const ready = { ...mark, name: "PostgreSQL", logFile, timeoutMs: 60_000, isReady: () => answers(url) };
  const running = findProcess(mark);
  if (running !== undefined) {
    await waitUntilReady(ready);
    return { url, pid: running, isAdopted: true };
  }
  for (let attempt = 1; ; attempt++) {
    const pid = startProcess({
      ...mark,
      command: join(binFolder, "postgres"),
      arguments: ["-D", clusterFolder(args), ...settings(args).flatMap((setting) => ["-c", setting])],
      logFile,
      user,
      isTiedToParent: args.isTiedToParent,
    });
    try {
      await waitUntilReady(ready);
      return { url, pid, isAdopted: false };
    } catch (error) {
      // After kill -9 of the server its children need a moment to notice; until then it refuses to start.
      if (attempt === 20 || !/shared memory block|lock file/.test(logTail(logFile, 3))) throw error;
      await sleep(500);
    }
  }
}

/** Stops the embedded PostgreSQL after its running statements are ended and its data is on disk. */
export function stopPostgres(args: Pick<PostgresArgs, "homeFolder" | "dataFolder">): Promise<boolean> {
  // SIGINT is PostgreSQL's "fast": open transactions are rolled back. SIGTERM would wait for every client to leave.
  return stopProcess(processMark(args), { signal: "SIGINT", graceMs: 60_000 });
}

function settings(args: PostgresArgs): string[] {
  return [
    `port=${args.port}`,
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    `max_connections=${args.maxConnections ?? 300}`,
    "shared_buffers=256MB",
    "max_wal_size=2GB",
    // PostgreSQL quotes rows and statements in its messages; prompts must not reach a log.
    "log_min_error_statement=panic",
    "log_error_verbosity=terse",
    "log_line_prefix=%m [%p] %q%u@%d ",
    ...(args.isDurable === false ? ["fsync=off", "full_page_writes=off", "synchronous_commit=off"] : []),
    ...(args.settings ?? []),
  ];
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("SELECT 1");
    return true;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Creates the cluster if there is none. @returns the operator's password */
async function ensureCluster(args: PostgresArgs, binFolder: string, user: ServerUser | undefined): Promise<string> {
  const folder = clusterFolder(args);
  const passwordFile = join(args.homeFolder, "secrets", "postgres-password");
  const known = await findSecretFile(passwordFile);
  if (existsSync(folder)) {
    if (known !== undefined) return known;
    throw new Error(
      `${passwordFile} is gone but its data is in ${folder}; run \`make clean && make up\` to start afresh`,
    );
  }
  const password = known ?? randomSecret();
  // The password is kept before the cluster is renamed into place: a kill in between leaves nothing that cannot be opened.
  await writeSecretFile(passwordFile, `${password}\n`);
  await ensureDataFolder(args.dataFolder);
  const unfinished = `${folder}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  const passwordCopy = `${unfinished}.password`;
  await writeFile(passwordCopy, password, { mode: 0o600 });
  await chmod(passwordCopy, 0o600);
  if (user) for (const path of [unfinished, passwordCopy]) await chown(path, user.uid, user.gid);
  try {
    const initdb = [
      join(binFolder, "initdb"),
      ...["-D", unfinished, "-U", operatorRole, `--pwfile=${passwordCopy}`, "--auth=scram-sha-256", "--encoding=UTF8"],
      // The C order of bytes: the same on every machine, so that an index never depends on the system's locale.
      ...["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"],
      ...(args.isDurable === false ? ["--no-sync"] : []),
    ];
    const as = user
      ? ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--init-groups", "--", ...initdb]
      : initdb;
    await execa(as[0] as string, as.slice(1), { cwd: "/", stdin: "ignore" });
  } finally {
    await rm(passwordCopy, { force: true });
  }
  await rename(unfinished, folder);
  return password;
}
