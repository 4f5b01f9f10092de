import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import pg from "pg";
import { databaseUrl } from "../../servers.ts";

/**
 * A PostgreSQL and a Vault of this drill's own: it seals the Vault, and the program makes roles that other tests have made
 * already. They end when the process that started them ends, however it ends.
 */
export class WorldServers {
  readonly postgresUrl: string;
  readonly vaultAddress: string;
  readonly vaultToken: string;
  readonly unsealKey: string;
  readonly #guard: ChildProcessByStdio<Writable, Readable, null>;

  private constructor(
    guard: ChildProcessByStdio<Writable, Readable, null>,
    report: { postgresUrl: string; vaultAddress: string; vaultToken: string },
    unsealKey: string,
  ) {
    this.#guard = guard;
    this.postgresUrl = report.postgresUrl;
    this.vaultAddress = report.vaultAddress;
    this.vaultToken = report.vaultToken;
    this.unsealKey = unsealKey;
  }

  static async start(): Promise<WorldServers> {
    const guard = spawn(process.execPath, [join(import.meta.dirname, "..", "..", "server-guard.ts")], {
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    const line = await Promise.race([
      once(createInterface({ input: guard.stdout }), "line").then(([text]) => text as string),
      once(guard, "exit").then(() => {
        throw new Error("the servers of the drill did not start; the reason stands above");
      }),
    ]);
    const report = JSON.parse(line) as {
      postgresUrl: string;
      vaultAddress: string;
      vaultToken: string;
      folder: string;
    };
    const secrets = await readFile(join(report.folder, "home", "secrets", "vault.json"), "utf8");
    return new WorldServers(guard, report, (JSON.parse(secrets) as { unsealKey: string }).unsealKey);
  }

  /** Runs statements as superuser in one database. @returns rows of the last one */
  async sql(database: string, ...statements: readonly string[]): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: databaseUrl(database, this.postgresUrl) });
    await client.connect();
    try {
      let rows: Record<string, unknown>[] = [];
      for (const statement of statements) rows = (await client.query<Record<string, unknown>>(statement)).rows;
      return rows;
    } finally {
      await client.end();
    }
  }

  /** @returns the answer's JSON; undefined for 404 and for an empty answer. @throws for other refusals */
  async vault(method: "GET" | "LIST" | "POST" | "DELETE", path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.vaultAddress}/v1/${path}`, {
      method,
      headers: { "X-Vault-Token": this.vaultToken },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok && response.status !== 404)
      throw new Error(`Vault answered ${response.status} to ${method} ${path}`);
    return response.status === 404 || text === "" ? undefined : (JSON.parse(text) as unknown);
  }

  async seal(): Promise<void> {
    await this.vault("POST", "sys/seal");
  }

  /** Resolves when Vault leads again. */
  async unseal(): Promise<void> {
    await this.vault("POST", "sys/unseal", { key: this.unsealKey });
    for (;;) {
      const { status } = await fetch(`${this.vaultAddress}/v1/sys/health`);
      if (status === 200) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async stop(): Promise<void> {
    if (this.#guard.exitCode !== null) return;
    const ended = once(this.#guard, "exit");
    this.#guard.stdin.end();
    await ended;
  }
}
