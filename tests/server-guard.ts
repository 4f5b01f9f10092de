// Entry of the process that owns the servers of one test run: it starts them, prints where they are, waits until its
// standard input ends (which it does however the test run dies), stops them and removes their folder. Milvus, which few
// tests need, is started when its input says so.
import { chmodSync, mkdtempSync } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../local/servers/free-port.ts";
import { milvusPorts } from "../local/servers/milvus-configuration.ts";
import { startMilvus, stopMilvus } from "../local/servers/milvus.ts";
import { startPostgres, stopPostgres } from "../local/servers/postgres.ts";
import { isRunning } from "../local/servers/server-process.ts";
import { startVault, stopVault } from "../local/servers/vault.ts";
import { ensurePython } from "../local/toolchain/python.ts";

const prefix = "release-coordinator-test-";

/** Removes what guards that were killed themselves left behind; their servers died with them. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = Number(name.match(/^release-coordinator-test-(\d+)-/)?.[1] ?? Number.NaN);
    if (Number.isInteger(pid) && !isRunning(pid, "server-guard"))
      await rm(join(tmpdir(), name), { recursive: true, force: true });
  }
}

await sweep();
const folder = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
// PostgreSQL's account must get through to its data folder.
chmodSync(folder, 0o711);
const place = { homeFolder: join(folder, "home"), dataFolder: join(folder, "data"), isTiedToParent: true };

let milvus: Promise<void> = Promise.resolve();
async function tellMilvus(): Promise<void> {
  try {
    const { address, password } = await startMilvus({ ...place, firstPort: await findFreePort(milvusPorts) });
    process.stdout.write(`${JSON.stringify({ address, password })}\n`);
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ reason: (error as Error).message })}\n`);
  }
}

let ending: Promise<void> | undefined;
function end(exitCode: number): void {
  ending ??= (async () => {
    await Promise.allSettled([
      stopPostgres(place),
      stopVault(place),
      milvus.catch(() => undefined).then(() => stopMilvus(place)),
    ]);
    await rm(folder, { recursive: true, force: true });
    process.exit(exitCode);
  })();
}
process.stdin.on("end", () => end(0));
process.stdin.on("error", () => end(0));
process.stdin.on("data", () => {
  milvus = tellMilvus();
});
// Ctrl-C reaches the whole group; the test run ends our input when it is done with the servers.
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => end(0));

try {
  const taken = new Set<number>();
  for (let index = 0; index < 3; index++) taken.add(await findFreePort(1, taken));
  const [postgresPort, vaultPort, clusterPort] = [...taken] as [number, number, number];
  const [python, postgres, vault] = await Promise.all([
    ensurePython(),
    startPostgres({ ...place, port: postgresPort, isDurable: false }),
    startVault({ ...place, port: vaultPort, clusterPort }),
  ]);
  const report = {
    python,
    postgresUrl: postgres.url,
    vaultAddress: vault.address,
    vaultToken: vault.rootToken,
    folder,
  };
  await writeFile(join(folder, "report.json"), JSON.stringify(report), { mode: 0o600 });
  process.stdout.write(`${JSON.stringify(report)}\n`);
} catch (error) {
  process.stderr.write(`${(error as Error).stack}\n`);
  end(1);
}
