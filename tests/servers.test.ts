import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { isRunning } from "../local/servers/server-process.ts";
import {
  createDatabase,
  createRoles,
  dropDatabase,
  getPostgresUrl,
  getVault,
  releaseRoles,
  roleUrl,
} from "./servers.ts";

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

describe("servers of the tests", () => {
  it("give a superuser on PostgreSQL 17 or later", async () => {
    const [row] = await query(
      getPostgresUrl(),
      "SELECT current_setting('is_superuser') AS super, current_setting('server_version_num')::int AS version",
    );
    assert.equal(row?.["super"], "on");
    assert.ok((row["version"] as number) >= 170_000);
  });

  it("create the roles of the platform twice without a fault, and they can log in but own nothing", async () => {
    await Promise.all([createRoles(), createRoles()]);
    const url = await createDatabase("servers_test");
    try {
      for (const role of Object.keys(releaseRoles) as (keyof typeof releaseRoles)[])
        assert.deepEqual(await query(roleUrl(role, url), "SELECT current_user AS me"), [{ me: role }]);
      await assert.rejects(query(roleUrl("platform_r1", url), "CREATE TABLE mine (id int)"), { code: "42501" });
      const wrong = new URL(roleUrl("platform_r1", url));
      wrong.password = "wrong";
      await assert.rejects(query(wrong.href, "SELECT 1"), { code: "28P01" });
      assert.deepEqual(await query(url, "SELECT '[1,2]'::vector <-> '[1,2]' AS distance"), [{ distance: 0 }]);
    } finally {
      await dropDatabase("servers_test");
    }
  });

  it("give an unsealed Vault that has a transit engine", async () => {
    const { address, token } = getVault();
    const headers = { "X-Vault-Token": token };
    const mount = `${address}/v1/sys/mounts/servers-test`;
    const made = await fetch(mount, { method: "POST", headers, body: JSON.stringify({ type: "transit" }) });
    assert.equal(made.status, 204);
    assert.equal((await fetch(mount, { method: "DELETE", headers })).status, 204);
  });

  for (const [who, signal] of [
    ["test run", "SIGKILL"],
    ["guard", "SIGKILL"],
  ] as const)
    it(`die when the ${who} gets ${signal}`, async () => {
      // A stand-in for mocha: holds the pipe to the guard, and does nothing else.
      const script = `
        const { spawn } = require("node:child_process");
        const guard = spawn(process.execPath, [${JSON.stringify(join(import.meta.dirname, "server-guard.ts"))}], { stdio: ["pipe", "inherit", "inherit"], detached: true });
        console.log(JSON.stringify({ guard: guard.pid }));`;
      const run = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
      const lines = createInterface({ input: run.stdout })[Symbol.asyncIterator]();
      const { guard } = JSON.parse((await lines.next()).value as string) as { guard: number };
      const { folder, postgresUrl } = JSON.parse((await lines.next()).value as string) as {
        folder: string;
        postgresUrl: string;
      };
      await query(postgresUrl, "SELECT 1");

      process.kill(who === "guard" ? guard : (run.pid as number), signal);
      while (isRunning(guard, "server-guard")) await sleep(50);
      for (let isUp = true; isUp; await sleep(50))
        isUp = await query(postgresUrl, "SELECT 1").then(
          () => true,
          () => false,
        );
      if (who === "test run") assert.equal(existsSync(folder), false, `${folder} was left behind`);
      else run.kill();
      if (run.exitCode === null && run.signalCode === null) await once(run, "exit");
    });
});
