import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { seedTenants } from "../../local/seed/seed.ts";
import { seedTables } from "../../local/seed/tenant-rows.ts";
import { ensureLedger } from "../../migrations/ledger/schema.ts";
import { upgradeTo } from "../../migrations/schema/alembic.ts";
import { embed } from "../workload/embedding.ts";
import { createDatabase, databaseUrl, dropDatabase, getPostgresUrl } from "../servers.ts";

const tenants = ["seed-a", "seed-b"];
const databaseOf = (tenant: string): string => `tenant_${tenant.replaceAll("-", "_")}`;
const rows = 1500;

describe("seeding tenants", function () {
  this.timeout(120_000);
  const clients = new Map<string, pg.Client>();
  const seed = (options: Partial<Parameters<typeof seedTenants>[0]> = {}) =>
    seedTenants({ postgresUrl: getPostgresUrl(), tenants, rows, ...options });

  async function query<T extends pg.QueryResultRow>(tenant: string, text: string): Promise<T[]> {
    const client = clients.get(tenant);
    assert.ok(client);
    return (await client.query<T>(text)).rows;
  }
  async function counts(tenant: string): Promise<Record<string, number>> {
    const columns = Object.keys(seedTables).map((table) => `(SELECT count(*)::int FROM ${table}) AS ${table}`);
    const [row] = await query<Record<string, number>>(tenant, `SELECT ${columns.join(", ")}`);
    return row ?? {};
  }
  const bodies = `(SELECT 'prompt' AS kind, prompt_id AS id, body FROM prompt_bodies UNION ALL SELECT 'message', message_id, body FROM message_bodies)`;

  beforeEach(async () => {
    for (const tenant of tenants) {
      const database = databaseOf(tenant);
      await createDatabase(database);
      const client = new pg.Client({ connectionString: databaseUrl(database) });
      client.on("error", () => undefined);
      await client.connect();
      clients.set(tenant, client);
    }
    const databases = tenants.map((tenant) => ({ database: databaseOf(tenant), url: databaseUrl(databaseOf(tenant)) }));
    for (const result of await upgradeTo(databases, "0001")) assert.equal(result.status, "done", result.reason);
  });
  afterEach(async () => {
    for (const client of clients.values()) await client.end();
    clients.clear();
    for (const tenant of tenants) await dropDatabase(databaseOf(tenant));
  });

  it("writes what it reports, over tenants of uneven size", async () => {
    const seeded = await seed();
    assert.equal(seeded.rows, rows);
    assert.equal(seeded.prompts + seeded.messages, rows);
    assert.ok(Math.abs(seeded.prompts / rows - 0.6) < 0.01, `${seeded.prompts} prompts`);
    assert.deepEqual(seeded.skipped, {});
    const [a = {}, b = {}] = await Promise.all(tenants.map(counts));
    const sum = (table: string): number => (a[table] ?? 0) + (b[table] ?? 0);
    assert.equal(sum("prompts"), seeded.prompts);
    assert.equal(sum("prompt_bodies"), seeded.prompts);
    assert.equal(sum("messages"), seeded.messages);
    assert.equal(sum("message_bodies"), seeded.messages);
    assert.equal(sum("chunks"), seeded.chunks);
    assert.equal(sum("chunk_embeddings"), seeded.chunks);
    assert.ok((a["prompts"] ?? 0) > (b["prompts"] ?? 0) && (b["prompts"] ?? 0) > 0);
    let bytes = 0;
    for (const tenant of tenants) {
      // The digest is computed from the pieces; here by the server from what it stored.
      const [stored] = await query<{ digest: string; bytes: number; shortest: number; longest: number }>(
        tenant,
        `SELECT encode(sha256(string_agg(kind || ' ' || id || ' ' || encode(sha256(convert_to(body, 'UTF8')), 'hex') || E'\\n', ''
                ORDER BY kind, id::text COLLATE "C")::bytea), 'hex') AS digest, sum(octet_length(body))::int AS bytes,
                min(octet_length(body)) AS shortest, max(octet_length(body)) AS longest FROM ${bodies} b`,
      );
      assert.equal(stored?.digest, seeded.digests[tenant]);
      assert.ok(stored !== undefined && stored.shortest >= 200 && stored.longest <= 65_536);
      bytes += stored.bytes;
    }
    assert.equal(bytes, seeded.bytes);
  });

  it("writes distinct text in several scripts, in conversations of the past days", async () => {
    await seed();
    const texts: string[] = [];
    for (const tenant of tenants) {
      texts.push(...(await query<{ body: string }>(tenant, `SELECT body FROM ${bodies} b`)).map(({ body }) => body));
      const [shape] = await query<Record<string, number>>(
        tenant,
        `SELECT (SELECT max(n)::int FROM (SELECT count(*) AS n FROM messages GROUP BY conversation_id) c) AS longest,
                (SELECT count(*)::int FROM prompts WHERE conversation_id IS NOT NULL) AS linked,
                (SELECT count(*)::int FROM messages m WHERE created_at > now() OR created_at < now() - interval '31 days') AS elsewhen,
                (SELECT count(DISTINCT created_at::date)::int FROM prompts) AS days,
                (SELECT count(*)::int FROM (SELECT role, lag(role) OVER (PARTITION BY conversation_id ORDER BY created_at) AS before
                   FROM messages) r WHERE role = before) AS unanswered,
                (SELECT min(reltuples)::int FROM pg_class WHERE oid IN ('prompts'::regclass, 'chunk_embeddings'::regclass)) AS analysed`,
      );
      assert.ok(shape !== undefined);
      assert.ok((shape["longest"] ?? 0) > 2 && (shape["longest"] ?? 99) <= 12, JSON.stringify(shape));
      assert.ok((shape["linked"] ?? 0) > 0 && (shape["days"] ?? 0) > 20, JSON.stringify(shape));
      assert.equal(shape["elsewhen"], 0);
      assert.equal(shape["unanswered"], 0);
      assert.ok((shape["analysed"] ?? -1) > 0, "the planner knows the tables");
    }
    assert.equal(new Set(texts).size, rows);
    for (const script of [/[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]{2}/, /\p{Script=Cyrillic}{4}/u, /[a-z]{4}/])
      assert.ok(texts.filter((text) => script.test(text)).length >= 5, String(script));
  });

  it("indexes one prompt in ten with the embeddings that the services compute", async () => {
    await seed();
    const [indexed] = await query<{ prompts: number; all: number }>(
      "seed-a",
      `SELECT (SELECT count(DISTINCT prompt_id)::int FROM chunks) AS prompts, (SELECT count(*)::int FROM prompts) AS all`,
    );
    assert.equal(indexed?.prompts, Math.ceil(indexed === undefined ? 0 : indexed.all / 10));
    const chunks = await query<{ text: string; embedding: string; body: string }>(
      "seed-a",
      `SELECT text, embedding::text, body FROM chunks JOIN chunk_embeddings ON chunk_id = chunks.id
       JOIN prompt_bodies USING (prompt_id) ORDER BY chunks.id LIMIT 20`,
    );
    assert.equal(chunks.length, 20);
    for (const { text, embedding, body } of chunks) {
      assert.deepEqual((JSON.parse(embedding) as number[]).map(Math.fround), embed(text).map(Math.fround));
      assert.ok(body.includes(text));
    }
  });

  it("leaves a seeded tenant alone, whatever traffic did to its rows", async () => {
    const first = await seed({ tenants: ["seed-a"] });
    await query("seed-a", "DELETE FROM prompts WHERE id = (SELECT min(id::text)::uuid FROM prompts)");
    await query("seed-a", "UPDATE prompt_bodies SET body = 'mine'");
    const before = await counts("seed-a");
    const again = await seed({ tenants: ["seed-a"], rows: 7 });
    assert.deepEqual({ ...again, seconds: 0, skipped: {} }, { ...first, seconds: 0 });
    assert.deepEqual(again.skipped, { "seed-a": "seeded before" });
    assert.deepEqual(await counts("seed-a"), before);
  });

  it("gives a tenant the same seed whether the one before it was seeded now or earlier", async () => {
    const together = await seed({ rows: 400 });
    await query("seed-b", `TRUNCATE ${Object.keys(seedTables).join(", ")}`);
    const alone = await seed({ rows: 400 });
    assert.deepEqual(alone.skipped, { "seed-a": "seeded before" });
    assert.deepEqual(alone.digests, together.digests);
  });

  it("passes over a tenant that moved to R2, seeded or not", async () => {
    const first = await seed({ tenants: ["seed-a"], rows: 200 });
    for (const tenant of tenants) {
      const client = clients.get(tenant);
      assert.ok(client);
      await client.query("SET ROLE rc_migrator");
      await ensureLedger(client);
      await client.query("INSERT INTO rc.mirror (mirror, position) VALUES ('prompt-encryption', 'switched')");
    }
    const switched = await seed({ rows: 200 });
    assert.deepEqual(switched.skipped, { "seed-a": "seeded before", "seed-b": "past R1" });
    assert.equal(switched.rows, first.rows);
    assert.deepEqual(switched.digests, first.digests);
    for (const tenant of tenants) await query(tenant, "DROP TABLE prompt_bodies, message_bodies");
    assert.deepEqual({ ...(await seed({ rows: 200 })), seconds: 0 }, { ...switched, seconds: 0 });
    assert.equal((await query("seed-b", "SELECT FROM prompts")).length, 0);
  });

  it("fires row triggers, so that a mirror under way captures the seed", async () => {
    await query("seed-a", "CREATE TABLE captured (id uuid); ALTER TABLE captured OWNER TO rc_migrator");
    await query(
      "seed-a",
      `CREATE FUNCTION capture() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN INSERT INTO public.captured VALUES (NEW.prompt_id); RETURN NULL; END'`,
    );
    await query(
      "seed-a",
      "CREATE TRIGGER capture AFTER INSERT ON prompt_bodies FOR EACH ROW EXECUTE FUNCTION capture()",
    );
    const seeded = await seed({ tenants: ["seed-a"], rows: 100 });
    assert.equal((await query("seed-a", "SELECT FROM captured")).length, seeded.prompts);
  });

  it("leaves nothing of a tenant when it is killed in the middle, and begins again", async () => {
    // The last table of the first batch is held, so that the process certainly stands in the middle.
    await query("seed-a", "BEGIN; LOCK TABLE chunk_embeddings IN SHARE MODE");
    const child = spawn(process.execPath, [join(import.meta.dirname, "seed-process.ts"), "seed-a", "3000"], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    const exited = once(child, "exit");
    const sessions = (condition: string) =>
      query(
        "seed-b",
        `SELECT FROM pg_stat_activity WHERE application_name = 'rc-seed' AND datname = 'tenant_seed_a' AND ${condition}`,
      );
    const reached = (async () => {
      while ((await sessions("wait_event_type = 'Lock' AND query LIKE 'COPY%chunk_embeddings%'")).length === 0)
        await sleep(50);
      return "waiting";
    })();
    assert.equal(await Promise.race([reached, exited]), "waiting");
    child.kill("SIGKILL");
    assert.deepEqual(await exited, [null, "SIGKILL"]);
    await query("seed-a", "ROLLBACK");
    while ((await sessions("true")).length > 0) await sleep(50);
    assert.deepEqual(new Set(Object.values(await counts("seed-a"))), new Set([0]));
    assert.equal((await seed({ tenants: ["seed-a"], rows: 3000 })).rows, 3000);
  });

  it("keeps nothing of the tenant under way when it is told to end", async () => {
    await assert.rejects(
      seed({ signal: AbortSignal.abort(new Error("told to end")) }),
      /seed of tenant seed-a .*nothing is kept: told to end/,
    );
    assert.deepEqual(new Set(Object.values(await counts("seed-a"))), new Set([0]));
  });

  it("refuses what cannot be: unknown and doubled tenants, half rows, more text than there is", async () => {
    await assert.rejects(
      seed({ tenants: ["seed-nobody"] }),
      /seed-nobody has no database tenant_seed_nobody.*pulumi up/,
    );
    await assert.rejects(seed({ tenants: ["seed-a", "seed-a"] }), /seed-a is named twice/);
    await assert.rejects(seed({ rows: 1.5 }), /rows is 1\.5/);
    const folders = [join(import.meta.dirname, "..", "..", "node_modules", "zod", "v4", "locales")];
    await assert.rejects(
      seed({ folders, rows: 1_000_000 }),
      /yield \d+ distinct pieces of text, 1000000 were asked for/,
    );
    assert.deepEqual(new Set(Object.values(await counts("seed-a"))), new Set([0]));
  });

  it("says so when somebody deleted its marker", async () => {
    await seed({ tenants: ["seed-a"], rows: 50 });
    await query("seed-a", "DELETE FROM conversations WHERE title LIKE 'seed %'");
    await assert.rejects(seed({ tenants: ["seed-a"], rows: 50 }), /holds the seeded prompt .* somebody deleted it/);
  });
});
