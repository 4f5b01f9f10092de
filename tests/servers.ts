import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { delimiter, join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import pg from "pg";
import { repositoryFolder } from "../local/folders.ts";
import { pulumiTool } from "../local/toolchain/pulumi.ts";
import { postgresBinFolder } from "../local/toolchain/postgres.ts";
import { ensurePython } from "../local/toolchain/python.ts";
import { toolBinFolder } from "../local/toolchain/tool.ts";
import { vaultTool } from "../local/toolchain/vault.ts";

/** Where the Vault of this test run is. */
export interface TestVault {
  readonly address: string;
  /** Root token. */
  readonly token: string;
}

/** Where the Milvus of this test run is. */
export interface TestMilvus {
  readonly address: string;
  /** Of the user `root`. */
  readonly password: string;
}

/** Login of `createRoles` with its password, which is no secret in a test. */
export const releaseRoles = { platform_r1: "platform-r1", platform_r2: "platform-r2", rc_keeper: "keeper" } as const;

let guard: ChildProcessByStdio<Writable, Readable, null> | undefined;
let guardLines: Interface | undefined;
let milvus: Promise<TestMilvus> | undefined;

/**
 * Starts ONE PostgreSQL and ONE Vault for the whole mocha run, unless RC_TEST_POSTGRES_URL, or RC_TEST_VAULT_ADDR and
 * RC_TEST_VAULT_TOKEN, name running ones. Their owner is a process of its own that ends them as soon as the pipe from
 * here breaks, so that they die with this run even when it is killed.
 */
export async function mochaGlobalSetup(): Promise<void> {
  process.env["RC_PYTHON"] ??= await ensurePython();
  process.env["RC_POSTGRES_BIN"] ??= postgresBinFolder();
  // As in .local/env; a tool that nobody has installed yet is missed by the test that needs it.
  const folders = [join(repositoryFolder, "node_modules", ".bin"), ...[pulumiTool, vaultTool].map(toolBinFolder)];
  process.env["PATH"] = [...folders, process.env["PATH"]].join(delimiter);
  if (process.env["RC_TEST_POSTGRES_URL"] && process.env["RC_TEST_VAULT_ADDR"] && process.env["RC_TEST_VAULT_TOKEN"])
    return;
  const child = spawn(process.execPath, [join(import.meta.dirname, "server-guard.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  guard = child;
  const lines = createInterface({ input: child.stdout });
  guardLines = lines;
  const first = await Promise.race([
    once(lines, "line").then(([line]) => line as string),
    once(child, "exit").then(([code]) => {
      throw new Error(`the servers of the tests did not start (exit code ${String(code)}); the reason stands above`);
    }),
  ]);
  const report = JSON.parse(first) as { postgresUrl: string; vaultAddress: string; vaultToken: string };
  process.env["RC_TEST_POSTGRES_URL"] ||= report.postgresUrl;
  process.env["RC_TEST_VAULT_ADDR"] ||= report.vaultAddress;
  process.env["RC_TEST_VAULT_TOKEN"] ||= report.vaultToken;
}

/** Ends the servers that `mochaGlobalSetup` started, and waits until nothing of them is left. */
export async function mochaGlobalTeardown(): Promise<void> {
  if (guard === undefined || guard.exitCode !== null) return;
  const ended = once(guard, "exit");
  guard.stdin.end();
  await ended;
  guard = undefined;
}

function getVariable(name: string): string {
  const value = process.env[name];
  if (!value)
    throw new Error(`${name} is not set; run mocha with \`--require tests/servers.ts\`, which starts the servers`);
  return value;
}

/** Superuser URL of this run's PostgreSQL, database `postgres`. */
export const getPostgresUrl = (): string => getVariable("RC_TEST_POSTGRES_URL");

export const getVault = (): TestVault => ({
  address: getVariable("RC_TEST_VAULT_ADDR"),
  token: getVariable("RC_TEST_VAULT_TOKEN"),
});

/**
 * This run's Milvus, started on first use (about 10 s), unless RC_TEST_MILVUS_ADDR and RC_TEST_MILVUS_PASSWORD name a running
 * one.
 */
export function getMilvus(): Promise<TestMilvus> {
  milvus ??= (async () => {
    const { RC_TEST_MILVUS_ADDR: address, RC_TEST_MILVUS_PASSWORD: password } = process.env;
    if (address !== undefined && password !== undefined) return { address, password };
    if (guard === undefined || guardLines === undefined)
      throw new Error(
        "this run has no servers of its own; name a Milvus in RC_TEST_MILVUS_ADDR, RC_TEST_MILVUS_PASSWORD",
      );
    const line = once(guardLines, "line");
    guard.stdin.write("milvus\n");
    const report = JSON.parse((await line)[0] as string) as TestMilvus | { readonly reason: string };
    if ("reason" in report) throw new Error(`Milvus did not start: ${report.reason}`);
    return report;
  })();
  return milvus;
}

/** The same server and login, another database. */
export function databaseUrl(name: string, url: string = getPostgresUrl()): string {
  const parsed = new URL(url);
  parsed.pathname = `/${encodeURIComponent(name)}`;
  return parsed.href;
}

/** The same server and database, another login of `createRoles`. */
export function roleUrl(role: keyof typeof releaseRoles, url: string): string {
  const parsed = new URL(url);
  parsed.username = role;
  parsed.password = releaseRoles[role];
  return parsed.href;
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Makes the roles that components/database.ts makes in a real environment. Idempotent, also when runs overlap. */
export async function createRoles(url: string = getPostgresUrl()): Promise<void> {
  await withClient(url, async (client) => {
    await client.query("BEGIN");
    await client.query("SELECT pg_advisory_xact_lock(hashtext('release-coordinator-test-roles'))");
    const present = await client.query<{ rolname: string }>("SELECT rolname FROM pg_roles");
    const names = new Set(present.rows.map((row) => row.rolname));
    for (const role of ["rc_migrator", "rc_reader"])
      if (!names.has(role)) await client.query(`CREATE ROLE ${role} NOLOGIN`);
    for (const [role, password] of Object.entries(releaseRoles))
      if (!names.has(role)) await client.query(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`);
    await client.query("GRANT rc_migrator, rc_reader TO rc_keeper");
    await client.query("COMMIT");
  });
}

/**
 * Creates an empty database owned by `rc_migrator` (see `createRoles`), with the extension `vector`. One that exists is
 * dropped first, with its connections.
 * @returns its superuser URL
 */
export async function createDatabase(name: string): Promise<string> {
  await createRoles();
  const quoted = pg.escapeIdentifier(name);
  await withClient(getPostgresUrl(), async (client) => {
    await client.query(`DROP DATABASE IF EXISTS ${quoted} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${quoted} OWNER rc_migrator`);
  });
  const url = databaseUrl(name);
  await withClient(url, (client) => client.query("CREATE EXTENSION vector"));
  return url;
}

/** Drops a database with its connections; one that is already gone is fine. */
export async function dropDatabase(name: string): Promise<void> {
  await withClient(getPostgresUrl(), (client) =>
    client.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`),
  );
}
