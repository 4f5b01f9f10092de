import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { findFreePort } from "../../../local/servers/free-port.ts";
import { startPostgres, stopPostgres } from "../../../local/servers/postgres.ts";
import type { Standing } from "../../../migrations/registry/observations.ts";
import { ensureRegistry } from "../../../migrations/registry/registry-schema.ts";
import { Registry } from "../../../migrations/registry/registry.ts";
import { createRoles, databaseUrl } from "../../servers.ts";

describe("observations on a server of their own", function () {
  this.timeout(120_000);
  let folder = "";
  let url = "";
  const place = () => ({ homeFolder: join(folder, "home"), dataFolder: join(folder, "data") });
  let port = 0;

  const start = async () => {
    ({ url } = await startPostgres({ ...place(), port, isTiedToParent: true }));
  };
  const query = async <Row extends pg.QueryResultRow>(text: string, database = "postgres"): Promise<Row[]> => {
    const client = new pg.Client({ connectionString: databaseUrl(database, url) });
    await client.connect();
    // Whoever pulls the plug is told that the server has gone.
    client.on("error", () => undefined);
    try {
      return (await client.query<Row>(text)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  };
  const standing = async (): Promise<Standing | undefined> => {
    const registry = new Registry(databaseUrl("rc_registry", url), { isReadOnly: true });
    try {
      return (await registry.observations.standings(["acme"], "how many?", ["platform_r1"])).get("acme");
    } finally {
      await registry.close();
    }
  };
  /** Keeps an observation with the evidence of now. */
  const observe = async () => {
    const registry = new Registry(databaseUrl("rc_registry", url));
    const { evidence = "" } = (await standing()) ?? {};
    await registry.observations.record([{ tenant: "acme", evidence, census: { rows: 1 } }]);
    await registry.close();
    assert.deepEqual((await standing())?.census, { rows: 1 });
  };
  /** Writes a row and ends the backend that has written it as nothing ends one. */
  const crash = async () => {
    const client = new pg.Client({ connectionString: databaseUrl("tenant_acme", url) });
    client.on("error", () => undefined);
    await client.connect();
    await client.query("INSERT INTO notes VALUES ('not counted any more')");
    const [row] = (await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid")).rows;
    const resetAt = () => query("SELECT stats_reset FROM pg_stat_bgwriter").catch(() => undefined);
    const before = JSON.stringify(await resetAt());
    process.kill(row?.pid ?? 0, "SIGKILL");
    for (let after = before; after === before; after = JSON.stringify((await resetAt()) ?? JSON.parse(before)))
      await sleep(50);
  };
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "release-coordinator-observations-"));
    await chmod(folder, 0o711); // PostgreSQL's account must get through to its data
    port = await findFreePort();
    await start();
    await createRoles(url);
    for (const database of ["rc_registry", "tenant_acme"]) await query(`CREATE DATABASE ${database} OWNER rc_migrator`);
    await ensureRegistry(databaseUrl("rc_registry", url));
    await query("CREATE TABLE notes (text text)", "tenant_acme");
    const registry = new Registry(databaseUrl("rc_registry", url));
    await registry.tenants.register([
      { id: "acme", region: "local", tags: [], database: "tenant_acme", isProbe: false, bornRelease: "r1" },
    ]);
    await registry.close();
  });
  after(async () => {
    await stopPostgres(place());
    await rm(folder, { recursive: true, force: true });
  });

  it("end with a crash of one backend, after which the server counts from nothing again", async () => {
    await crash();
    await observe();
    const before = await query("SELECT pg_postmaster_start_time()");
    // The same counts as at the observation: none, and one row more.
    await crash();
    assert.deepEqual(await query("SELECT pg_postmaster_start_time()"), before, "the server itself went on");
    assert.equal((await standing())?.census, undefined);
  });

  it("end with a restart, with a reset of the counters, and after a day", async () => {
    await observe();
    await stopPostgres(place());
    await start();
    assert.equal((await standing())?.census, undefined, "restart");
    await observe();
    await query("SELECT pg_stat_reset()", "tenant_acme");
    assert.equal((await standing())?.census, undefined, "reset");
    await observe();
    await query("UPDATE registry.observation SET as_of = now() - interval '25 hours'", "rc_registry");
    assert.equal((await standing())?.census, undefined, "a day");
  });

  it("say nothing of a server that counts nothing, and of a standby, whose counters stand still", async () => {
    await observe();
    await query("ALTER SYSTEM SET track_counts = off");
    await query("SELECT pg_reload_conf()");
    while ((await query<{ track_counts: string }>("SHOW track_counts"))[0]?.track_counts !== "off") await sleep(20);
    assert.equal(await standing(), undefined);
    await query("ALTER SYSTEM RESET track_counts");
    await stopPostgres(place());
    await writeFile(join(place().dataFolder, "postgres", "standby.signal"), "");
    await start();
    assert.deepEqual(await query("SELECT pg_is_in_recovery()"), [{ pg_is_in_recovery: true }]);
    assert.equal(await standing(), undefined);
  });
});
