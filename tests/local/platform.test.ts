import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { dataFolder } from "../../local/folders.ts";
import { Platform } from "../../local/platform.ts";
import { isRunning } from "../../local/servers/server-process.ts";

async function count(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ count: number }>("SELECT count(*)::int AS count FROM kept");
    return rows[0]?.count ?? 0;
  } finally {
    await client.end();
  }
}

describe("a platform", function () {
  this.timeout(180_000);
  let folder: string;
  let platform: Platform;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rc-platform-"));
    platform = new Platform({ homeFolder: join(folder, "home") });
    await platform.start();
  });
  after(async () => {
    await platform.clean();
    await rm(folder, { recursive: true, force: true });
  });

  const get = (name: string): string => platform.environment[name] as string;
  const vaultHealth = async (): Promise<number> => (await fetch(`${get("RC_VAULT_ADDR")}/v1/sys/health`)).status;
  const pids = async (): Promise<Record<string, number | undefined>> =>
    Object.fromEntries((await platform.status()).map(({ name, pid }) => [name, pid]));

  it("has servers that answer, and keeps every secret to its owner", async () => {
    const client = new pg.Client({ connectionString: get("RC_POSTGRES_URL") });
    await client.connect();
    await client.query("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1), (2)");
    await client.end();
    assert.equal(await vaultHealth(), 200);
    // Nobody has made a registry yet: every tenant is unknown.
    assert.equal((await fetch(`${get("RC_GATEWAY_URL")}/tenants/nobody/prompts`)).status, 404);
    const secret = [join(platform.homeFolder, "env")];
    for (const name of await readdir(join(platform.homeFolder, "secrets")))
      secret.push(join(platform.homeFolder, "secrets", name));
    assert.ok(secret.length >= 4, secret.join());
    for (const file of secret) assert.equal((await stat(file)).mode & 0o777, 0o600, file);
  });

  it("shares neither ports nor data with another one", async () => {
    const other = new Platform({ homeFolder: join(folder, "other") });
    try {
      await other.start();
      assert.notEqual(other.dataFolder, platform.dataFolder);
      const ports = await Promise.all(
        [platform, other].map(async ({ homeFolder }) =>
          Object.values(
            JSON.parse(await readFile(join(homeFolder, "endpoints.json"), "utf8")) as Record<string, number>,
          ),
        ),
      );
      assert.equal(new Set(ports.flat()).size, 12);
      await assert.rejects(count(other.environment["RC_POSTGRES_URL"] as string), { code: "42P01" });
    } finally {
      await other.clean();
    }
    assert.equal(existsSync(other.homeFolder) || existsSync(other.dataFolder), false);
  });

  it("adopts what runs when it is started again", async () => {
    const before = await pids();
    const again = new Platform({ homeFolder: platform.homeFolder });
    await again.start();
    assert.deepEqual(await pids(), before);
    assert.deepEqual(again.environment, platform.environment);
  });

  it("comes back with its data and its unsealed vault after kill -9 of every server", async () => {
    const before = await pids();
    const killed = Object.values(before).filter((pid) => pid !== undefined);
    for (const pid of killed) process.kill(pid, "SIGKILL");
    await platform.start();
    const after = await pids();
    for (const name of ["PostgreSQL", "Vault", "gateway"]) assert.notEqual(after[name], before[name], name);
    assert.equal(await count(get("RC_POSTGRES_URL")), 2);
    assert.equal(await vaultHealth(), 200);
  });

  it("comes back when its pid files name strangers", async () => {
    const before = await pids();
    await platform.stop();
    for (const name of ["postgres", "vault", "docker"])
      await writeFile(join(platform.homeFolder, "run", `${name}.pid`), `${process.pid}\n`);
    await platform.start();
    assert.equal(await count(get("RC_POSTGRES_URL")), 2);
    assert.notEqual((await pids())["PostgreSQL"], before["PostgreSQL"]);
  });

  it("stops all its servers, and refuses to lose an unseal key silently", async () => {
    const before = Object.values(await pids()).filter((pid) => pid !== undefined);
    await platform.stop();
    for (const pid of before)
      assert.equal(isRunning(pid, platform.homeFolder) || isRunning(pid, platform.dataFolder), false);
    const file = join(platform.homeFolder, "secrets", "vault.json");
    const secrets = await readFile(file, "utf8");
    await rm(file);
    await assert.rejects(platform.start(), /vault\.json is gone.*make clean/);
    await writeFile(file, secrets, { mode: 0o600 });
    await platform.start();
    assert.equal(await vaultHealth(), 200);
  });

  it("cleans nothing that is no platform", async () => {
    await writeFile(join(folder, "precious"), "");
    await new Platform({ homeFolder: folder }).clean();
    assert.ok(existsSync(join(folder, "precious")));
    assert.equal(existsSync(dataFolder(folder)), false);
  });
});
