import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import pg from "pg";
import { repositoryFolder } from "../local/folders.ts";
import { findFreePort } from "../local/servers/free-port.ts";
import { startPostgres, stopPostgres } from "../local/servers/postgres.ts";
import { startVault, stopVault } from "../local/servers/vault.ts";
import { pulumiTool } from "../local/toolchain/pulumi.ts";
import { ensurePython } from "../local/toolchain/python.ts";
import { toolBinFolder } from "../local/toolchain/tool.ts";
import { vaultTool } from "../local/toolchain/vault.ts";
import { createRoles, getPostgresUrl, getVault } from "../tests/servers.ts";

/** What a measurement depends on besides our code. */
export interface Versions {
  readonly node: string;
  readonly postgres?: string;
  readonly vault?: string;
}

/**
 * Runs `work` with a PostgreSQL and a Vault of its own, on free ports, durable as in production (fsync on), and ends
 * them with all they wrote. They die with this process. Servers that the tests' variables name are used instead.
 */
export async function withServers<T>(work: (versions: Versions) => Promise<T>): Promise<T> {
  const folders = [join(repositoryFolder, "node_modules", ".bin"), ...[pulumiTool, vaultTool].map(toolBinFolder)];
  process.env["PATH"] = [...folders, process.env["PATH"]].join(delimiter);
  process.env["RC_PYTHON"] ??= await ensurePython();
  if (process.env["RC_TEST_POSTGRES_URL"] && process.env["RC_TEST_VAULT_ADDR"]) return work(await readVersions());
  const folder = await mkdtemp(join(tmpdir(), "release-coordinator-bench-"));
  // PostgreSQL's account must get through to its data folder.
  await chmod(folder, 0o711);
  const place = { homeFolder: join(folder, "home"), dataFolder: join(folder, "data"), isTiedToParent: true };
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => reject(new Error(`ended by ${signal}`)));
  });
  interrupted.catch(() => undefined);
  try {
    const first = await findFreePort(3);
    const [postgres, vault] = await Promise.all([
      startPostgres({ ...place, port: first }),
      startVault({ ...place, port: first + 1, clusterPort: first + 2 }),
    ]);
    process.env["RC_TEST_POSTGRES_URL"] = postgres.url;
    process.env["RC_TEST_VAULT_ADDR"] = vault.address;
    process.env["RC_TEST_VAULT_TOKEN"] = vault.rootToken;
    await createRoles();
    return await Promise.race([work(await readVersions()), interrupted]);
  } finally {
    await Promise.allSettled([stopPostgres(place), stopVault(place)]);
    await rm(folder, { recursive: true, force: true });
  }
}

async function readVersions(): Promise<Versions> {
  const client = new pg.Client({ connectionString: getPostgresUrl() });
  await client.connect();
  const found = await client.query<{ server_version: string }>("SHOW server_version");
  await client.end();
  const health = await fetch(`${getVault().address}/v1/sys/health`);
  const { version } = (await health.json()) as { version: string };
  return { node: process.version, postgres: found.rows[0]?.server_version ?? "", vault: version };
}
