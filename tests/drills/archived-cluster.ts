import { chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";
import { ensureDataFolder } from "../../local/folders.ts";
import { findFreePort } from "../../local/servers/free-port.ts";
import { startPostgres, stopPostgres } from "../../local/servers/postgres.ts";
import { findServerUser } from "../../local/servers/server-user.ts";
import { ensurePostgres } from "../../local/toolchain/postgres.ts";

/** A PostgreSQL of its own that archives its write-ahead log: the point-in-time recovery that a platform brings itself. */
export class ArchivedCluster {
  readonly url: string;
  readonly #folder: string;
  readonly #port: number;
  readonly #programs: string;
  /** Parent of the data folder of the server that runs. */
  #dataFolder: string;

  private constructor(folder: string, dataFolder: string, port: number, url: string, programs: string) {
    this.#folder = folder;
    this.#dataFolder = dataFolder;
    this.#port = port;
    this.url = url;
    this.#programs = programs;
  }

  static async start(): Promise<ArchivedCluster> {
    const folder = await mkdtemp(join(tmpdir(), "rc-archived-"));
    await ensureDataFolder(folder);
    const archive = join(folder, "archive");
    await mkdir(archive);
    await giveAway(archive);
    const dataFolder = join(folder, "first");
    const port = await findFreePort();
    const { url } = await startPostgres({
      ...place(folder, dataFolder, port),
      settings: ["archive_mode=on", `archive_command=cp %p ${archive}/%f`],
    });
    return new ArchivedCluster(folder, dataFolder, port, url, await ensurePostgres());
  }

  /** Takes over one database of another server, roles and extensions being there already. */
  async copyDatabase(from: string, to: string): Promise<void> {
    await execa(
      "sh",
      [
        "-c",
        '"$PROGRAMS/pg_dump" --format=custom "$FROM" | "$PROGRAMS/pg_restore" --dbname="$TO" --exit-on-error --clean --if-exists',
      ],
      {
        env: { PROGRAMS: this.#programs, FROM: from, TO: to },
      },
    );
  }

  /** A base backup of the running server; what happens after it is in the archived log only. */
  async baseBackup(): Promise<void> {
    const target = join(this.#folder, "second", "postgres");
    await ensureDataFolder(join(this.#folder, "second"));
    const words = ["--pgdata", target, "--dbname", this.url, "--checkpoint=fast", "--wal-method=fetch", "--no-sync"];
    await execa(join(this.#programs, "pg_basebackup"), words);
  }

  /** Ends the server, and lets the base backup follow the archived log up to a moment. Same URL as before. */
  async recoverTo(moment: string): Promise<void> {
    await this.#sql("SELECT pg_switch_wal()");
    await stopPostgres({ homeFolder: this.#folder, dataFolder: this.#dataFolder }); // archives what is left
    this.#dataFolder = join(this.#folder, "second");
    const cluster = join(this.#dataFolder, "postgres");
    await writeFile(join(cluster, "recovery.signal"), "");
    const user = findServerUser();
    if (user !== undefined) await execa("chown", ["-R", `${user.uid}:${user.gid}`, cluster]);
    await startPostgres({
      ...place(this.#folder, this.#dataFolder, this.#port),
      settings: [
        `restore_command=cp ${join(this.#folder, "archive")}/%f %p`,
        `recovery_target_time=${moment}`,
        "recovery_target_action=promote",
      ],
    });
    while ((await this.#sql("SELECT pg_is_in_recovery()::text AS value")) !== "false")
      await new Promise((resolve) => setTimeout(resolve, 50));
  }

  async stop(): Promise<void> {
    await stopPostgres({ homeFolder: this.#folder, dataFolder: this.#dataFolder });
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #sql(text: string): Promise<string | undefined> {
    const client = new pg.Client({ connectionString: this.url });
    await client.connect();
    try {
      return (await client.query<{ value: string }>(text)).rows[0]?.value;
    } finally {
      await client.end();
    }
  }
}

function place(homeFolder: string, dataFolder: string, port: number) {
  return { homeFolder, dataFolder, port, isDurable: false, isTiedToParent: true };
}

/** PostgreSQL runs as another account when the drill runs as root. */
async function giveAway(path: string): Promise<void> {
  const user = findServerUser();
  if (user !== undefined) await chown(path, user.uid, user.gid);
}
