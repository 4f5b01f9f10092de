import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { currentRevision, downgradeTo, upgradeTo } from "../../../migrations/schema/alembic.ts";
import { createDatabase, databaseUrl, dropDatabase, getPostgresUrl } from "../../servers.ts";
import { readCatalog } from "./catalog.ts";

const names = ["onb_schema_a", "onb_schema_b"];
const foreignKeys = [
  "ALTER TABLE prompt_bodies ADD CONSTRAINT prompt_bodies_prompt_id_fkey FOREIGN KEY (prompt_id) REFERENCES prompts (id) ON DELETE CASCADE",
  "ALTER TABLE message_bodies ADD CONSTRAINT message_bodies_message_id_fkey FOREIGN KEY (message_id) REFERENCES messages (id) ON DELETE CASCADE",
];
const vectorKey =
  "ALTER TABLE chunk_embeddings ADD CONSTRAINT chunk_embeddings_chunk_id_fkey FOREIGN KEY (chunk_id) REFERENCES chunks (id) ON DELETE CASCADE";

describe("alembic, one process for many databases", function () {
  this.timeout(120_000);
  let urls: string[] = [];
  const clients: pg.Client[] = [];
  const targets = () => names.map((database, index) => ({ database, url: urls[index] ?? "" }));
  const one = () => targets().slice(0, 1);

  async function connect(index = 0): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: urls[index] });
    client.on("error", () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  }
  const query = async (...statements: string[]) => {
    const client = await connect();
    for (const statement of statements) await client.query(statement);
  };
  const setPosition = (position: string, mirror = "prompt-encryption") =>
    query(
      "CREATE SCHEMA rc",
      "CREATE TABLE rc.mirror (mirror text PRIMARY KEY, position text NOT NULL)",
      `INSERT INTO rc.mirror VALUES ('${mirror}', '${position}')`,
      "ALTER SCHEMA rc OWNER TO rc_migrator",
      "ALTER TABLE rc.mirror OWNER TO rc_migrator",
    );

  beforeEach(async () => {
    urls = [];
    for (const name of names) urls.push(await createDatabase(name));
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.end();
    for (const name of names) await dropDatabase(name);
  });

  it("brings all databases up, is idempotent, and never goes back by going up", async () => {
    assert.equal(await currentRevision(urls[0] ?? ""), undefined);
    const first = await upgradeTo(targets(), "0002");
    assert.deepEqual(
      first.map(({ database, status, from, to }) => ({ database, status, from, to })),
      names.map((database) => ({ database, status: "done", from: null, to: "0002" })),
    );
    const second = await upgradeTo(targets(), "0001");
    assert.deepEqual(
      second.map(({ status, to }) => [status, to]),
      names.map(() => ["done", "0002"]),
    );
    assert.equal(await currentRevision(urls[1] ?? ""), "0002");
  });

  it("makes everything owned by rc_migrator and ciphertext stored without compression", async () => {
    await upgradeTo(one(), "0002");
    const client = await connect();
    const { rows } = await client.query(
      "SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    );
    assert.deepEqual(rows, [{ owner: "rc_migrator" }]);
    const stored = await client.query(
      "SELECT attrelid::regclass::text AS t, attstorage AS s FROM pg_attribute WHERE attname = 'body' AND attrelid::regclass::text LIKE '%_bodies%' ORDER BY 1",
    );
    assert.deepEqual(stored.rows, [
      { t: "message_bodies", s: "x" },
      { t: "message_bodies_sealed", s: "e" },
      { t: "prompt_bodies", s: "x" },
      { t: "prompt_bodies_sealed", s: "e" },
    ]);
  });

  it("leaves the same catalog after up, down and up at every revision", async () => {
    const url = urls[0] ?? "";
    const seen = new Map<string, string[]>();
    for (const revision of ["0001", "0002", "0003", "0004", "0005"]) {
      await upgradeTo(one(), revision);
      seen.set(revision, await readCatalog(url));
    }
    assert.equal(new Set([...seen.values()].map((lines) => lines.join("\n"))).size, 5);
    await downgradeTo(one(), "0004");
    const refilled = await readCatalog(url);
    const lacking = (seen.get("0004") ?? []).filter((line) => !refilled.includes(line));
    assert.equal(lacking.filter((line) => /chunk_embeddings_chunk_id_fkey/.test(line)).length, 1);
    assert.equal(lacking.length, 1);
    await query("SET ROLE rc_migrator", vectorKey);
    assert.deepEqual(await readCatalog(url), seen.get("0004"));
    await downgradeTo(one(), "0003");
    assert.deepEqual(await readCatalog(url), seen.get("0003"));
    await downgradeTo(one(), "0002");
    // The rebuilt source has no foreign key until the engine has filled it; nothing else may differ.
    const rebuilt = await readCatalog(url);
    const missing = (seen.get("0002") ?? []).filter((line) => !rebuilt.includes(line));
    assert.equal(missing.filter((line) => /_bodies_\w+_id_fkey/.test(line)).length, 2);
    assert.equal(missing.length, 2);
    await query("SET ROLE rc_migrator", ...foreignKeys);
    assert.deepEqual(await readCatalog(url), seen.get("0002"));
    await downgradeTo(one(), "0001");
    assert.deepEqual(await readCatalog(url), seen.get("0001"));
    await upgradeTo(one(), "0005");
    assert.deepEqual(await readCatalog(url), seen.get("0005"));
    await downgradeTo(one(), "base");
    const bare = (await readCatalog(url)).filter((line) => !line.includes("alembic_version"));
    assert.deepEqual(bare, []);
    await upgradeTo(one(), "0001");
    assert.deepEqual(await readCatalog(url), seen.get("0001"));
  });

  for (const position of ["off", "mirroring", "switched"])
    it(`refuses to drop the source while the mirror is ${position}, even when it is empty`, async () => {
      await upgradeTo(one(), "0002");
      await setPosition(position);
      const [result] = await upgradeTo(one(), "0003");
      assert.equal(result?.status, "refused");
      assert.match(result?.reason ?? "", new RegExp(`prompt-encryption is ${position}; .*pulumi up`));
      assert.equal(await currentRevision(urls[0] ?? ""), "0002");
    });

  it("drops the source, rows and all, once the mirror is retired", async () => {
    await upgradeTo(one(), "0002");
    await query("INSERT INTO prompts (title) VALUES ('t')", "INSERT INTO prompt_bodies SELECT id, 'b' FROM prompts");
    await setPosition("retired");
    const [result] = await upgradeTo(one(), "0003");
    assert.deepEqual([result?.status, result?.to], ["done", "0003"]);
  });

  it("refuses a stray `alembic upgrade head` where rows live and no ledger says that they may go", async () => {
    await upgradeTo(one(), "0001");
    await query("INSERT INTO prompts (title) VALUES ('t')", "INSERT INTO prompt_bodies SELECT id, 'b' FROM prompts");
    const python = process.env["RC_PYTHON"] ?? "";
    const ini = join(import.meta.dirname, "../../../migrations/alembic/alembic.ini");
    const stray = promisify(execFile)(
      python,
      ["-m", "alembic", "-c", ini, "-x", "url=env:URL", "-x", `database=${names[0]}`, "upgrade", "head"],
      { env: { PATH: process.env["PATH"], URL: getPostgresUrl() } },
    );
    await assert.rejects(stray, /upgrade to 0003 would drop prompt_bodies, which holds rows/);
    // One transaction per revision: the harmless one stands.
    assert.equal(await currentRevision(urls[0] ?? ""), "0002");
    const client = await connect();
    assert.equal((await client.query("SELECT 1 FROM prompt_bodies")).rowCount, 1);
  });

  it("refuses to drop the sink unless the mirror is off and the sink is empty", async () => {
    await upgradeTo(one(), "0002");
    await query("INSERT INTO prompt_bodies_sealed VALUES (gen_random_uuid(), '\\x01')");
    assert.match((await downgradeTo(one(), "0001"))[0]?.reason ?? "", /prompt_bodies_sealed, which holds rows/);
    await query("DELETE FROM prompt_bodies_sealed");
    await setPosition("mirroring");
    assert.match((await downgradeTo(one(), "0001"))[0]?.reason ?? "", /mirroring; allowed only when it is off/);
    await query("UPDATE rc.mirror SET position = 'off'");
    assert.equal((await downgradeTo(one(), "0001"))[0]?.status, "done");
  });

  for (const position of ["off", "mirroring", "switched"])
    it(`refuses to drop the vectors of pgvector while their mirror is ${position}`, async () => {
      await upgradeTo(one(), "0004");
      await setPosition(position, "vector-store");
      const [result] = await upgradeTo(one(), "0005");
      assert.equal(result?.status, "refused");
      assert.match(result?.reason ?? "", new RegExp(`drop chunk_embeddings while mirror vector-store is ${position};`));
      await query("UPDATE rc.mirror SET position = 'retired'");
      assert.equal((await upgradeTo(one(), "0005"))[0]?.to, "0005");
    });

  it("refuses to drop the register of vectors unless their mirror is off and it is empty", async () => {
    await upgradeTo(one(), "0004");
    await query("INSERT INTO chunk_vectors VALUES (gen_random_uuid(), 1, 'ready')");
    assert.match((await downgradeTo(one(), "0003"))[0]?.reason ?? "", /chunk_vectors, which holds rows/);
    await query("DELETE FROM chunk_vectors");
    await setPosition("mirroring", "vector-store");
    assert.match((await downgradeTo(one(), "0003"))[0]?.reason ?? "", /mirroring; allowed only when it is off/);
    await query("UPDATE rc.mirror SET position = 'off'");
    assert.equal((await downgradeTo(one(), "0003"))[0]?.status, "done");
  });

  it("refuses to drop the baseline while any table holds rows", async () => {
    await upgradeTo(one(), "0001");
    await query("INSERT INTO conversations (title) VALUES ('t')");
    assert.match((await downgradeTo(one(), "base"))[0]?.reason ?? "", /conversations, which holds rows/);
  });

  it("lets no failure of one database stop another, and prints no credential", async () => {
    const secret = new URL(getPostgresUrl()).password;
    const wrong = new URL(urls[1] ?? "");
    wrong.password = "a-wrong-password";
    const results = await upgradeTo(
      [
        { database: "unreadable", url: "::://operator:a-wrong-password" },
        { database: "denied", url: wrong.href },
        { database: "absent", url: databaseUrl("onb_schema_absent") },
        ...one(),
      ],
      "0001",
    );
    assert.deepEqual(
      results.map(({ status }) => status),
      ["failed", "failed", "failed", "done"],
    );
    const text = JSON.stringify(results);
    assert.ok(!text.includes("a-wrong-password") && !(secret !== "" && text.includes(secret)), text);
    assert.match(results[2]?.reason ?? "", /does not exist/);
  });

  it("retries a busy lock without holding readers up, then reports it", async () => {
    await upgradeTo(one(), "0002");
    const blocker = await connect();
    await blocker.query("BEGIN; LOCK TABLE prompt_bodies IN ACCESS SHARE MODE");
    const [busy] = await upgradeTo(one(), "0003", { attempts: 2, lockTimeoutMs: 50 });
    assert.deepEqual([busy?.status, busy?.sqlstate, busy?.attempts], ["failed", "55P03", 2]);
    const patient = upgradeTo(one(), "0003", { lockTimeoutMs: 50, attempts: 400 });
    // A runner that stayed in the lock queue would make this reader wait for the blocker, which ends only after it.
    const reader = await connect();
    await reader.query("SET lock_timeout = '10s'");
    for (let look = 0; look < 10; look++) {
      await reader.query("SELECT count(*) FROM prompt_bodies");
      await sleep(100);
    }
    await blocker.query("COMMIT");
    const [done] = await patient;
    assert.deepEqual([done?.status, done?.to], ["done", "0003"]);
  });

  it("lets two runs at once on one database both end well", async () => {
    const results = await Promise.all([upgradeTo(one(), "0003"), upgradeTo(one(), "0003")]);
    assert.deepEqual(
      results.map(([result]) => [result?.status, result?.to]),
      [
        ["done", "0003"],
        ["done", "0003"],
      ],
    );
  });

  it("names an unknown target and a database that a newer program has migrated", async () => {
    await assert.rejects(upgradeTo(one(), "9999"), /revision '9999'; allowed: 0001, 0002, 0003/);
    await upgradeTo(one(), "0001");
    await query("UPDATE alembic_version SET version_num = '0042'");
    assert.match((await upgradeTo(one(), "0002"))[0]?.reason ?? "", /'0042'; run the program that made it/);
  });

  it("ends Python at the deadline and says that nothing is half done", async () => {
    await upgradeTo(one(), "0002");
    const blocker = await connect();
    await blocker.query("BEGIN; LOCK TABLE prompt_bodies IN ACCESS SHARE MODE");
    const [late] = await upgradeTo(one(), "0003", { deadlineMs: 3000, attempts: 10_000, lockTimeoutMs: 100 });
    assert.equal(late?.status, "failed");
    assert.match(late?.reason ?? "", /longer than 3000 ms/);
    await blocker.query("COMMIT");
    assert.equal(await currentRevision(urls[0] ?? ""), "0002");
  });

  it("leaves no runner behind when its parent is killed", async () => {
    await upgradeTo(one(), "0002");
    const blocker = await connect();
    await blocker.query("BEGIN; LOCK TABLE prompt_bodies IN ACCESS SHARE MODE");
    const program = `
      const { upgradeTo } = await import(${JSON.stringify(join(import.meta.dirname, "../../../migrations/schema/alembic.ts"))});
      await upgradeTo(JSON.parse(process.env.TARGETS), "0003", { lockTimeoutMs: 100, attempts: 100000 });`;
    const parent = spawn(process.execPath, ["--input-type=module", "-e", program], {
      env: { ...process.env, TARGETS: JSON.stringify(one()) },
      stdio: "ignore",
    });
    // Not the blocker: inside its transaction the view would never change.
    const watcher = await connect();
    const runners = async () =>
      (
        await watcher.query(
          "SELECT 1 FROM pg_stat_activity WHERE application_name = 'rc-alembic' AND datname = current_database()",
        )
      ).rowCount ?? 0;
    const until = async (isWanted: (count: number) => boolean) => {
      for (let left = 200; left > 0; left--) {
        if (isWanted(await runners())) return;
        await sleep(100);
      }
      assert.fail(`${await runners()} runners`);
    };
    await until((count) => count > 0);
    const ended = once(parent, "exit");
    parent.kill("SIGKILL");
    await ended;
    // Between two attempts there is no session either: it has to stay away.
    await sleep(1500);
    for (let look = 0; look < 15; look++) {
      assert.equal(await runners(), 0);
      await sleep(100);
    }
    await blocker.query("COMMIT");
    assert.equal(await currentRevision(urls[0] ?? ""), "0002");
    assert.equal((await upgradeTo(one(), "0003"))[0]?.status, "done");
  });
});
