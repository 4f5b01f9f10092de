import assert from "node:assert/strict";
import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";
import { cutoverTenant, prepareTenant } from "../../migrations/mirror/engine.ts";
import type { TenantJob } from "../../migrations/mirror/job.ts";
import { findObstacles } from "../../migrations/mirror/preflight.ts";
import { getMirror } from "../../migrations/mirrors.ts";
import { ensureRegistry } from "../../migrations/registry/registry-schema.ts";
import { Registry } from "../../migrations/registry/registry.ts";
import { upgradeTo } from "../../migrations/schema/alembic.ts";
import { databaseUrl } from "../../migrations/schema/database-url.ts";
import type { ReleaseTarget } from "../../migrations/wave-inputs.ts";
import { getRelease } from "../../releases/catalog.ts";
import { releaseTarget } from "../../releases/target.ts";
import { environment, ensureTransitMount } from "../migrations/mirror/tenant-fixture.ts";
import { pythonVectors } from "../migrations/tink/vectors.ts";
import { createDatabase, createRoles, dropDatabase, getPostgresUrl, getVault, roleUrl } from "../servers.ts";
import { blocksOf, readPage } from "./markdown.ts";

const page = readPage("docs/adopt.md");
const database = "docs_tenant_acme";
const registryDatabase = "docs_registry";
const releases = ["r1", "r2", "r3", "r4"].map((id) => releaseTarget(getRelease(id)));
const [r1, r2] = releases as [ReleaseTarget, ReleaseTarget];

/** The one block of a language in which a text stands; the page's database takes this test's name. */
function blockWith(language: string, part: string): string {
  const found = blocksOf(page, language).filter(({ text }) => text.includes(part));
  assert.equal(found.length, 1, `${language} with ${part}`);
  return (found[0]?.text ?? "").replaceAll("DATABASE tenant_acme", `DATABASE ${database}`);
}

async function python(script: string, request: object): Promise<string> {
  const input = JSON.stringify(request);
  return (await execa(process.env["RC_PYTHON"] ?? "", [join(import.meta.dirname, script)], { input })).stdout;
}

describe("the page on adopting", function () {
  this.timeout(120_000);

  it("opens and seals by its Python what stock Tink wrote", async () => {
    const request = {
      code: blockWith("python", "def open_body"),
      vectors: pythonVectors,
      vaultShaped: join(import.meta.dirname, "../migrations/tink/make-vectors.py"),
    };
    const count = pythonVectors.ciphertexts.length;
    assert.ok(count > 5);
    assert.deepEqual(JSON.parse(await python("open_by_page.py", request)), {
      opened: count,
      wrong: 0,
      movedRefused: count,
      sealed: count,
      contexts: pythonVectors.associatedData.length,
    });
  });

  it("shows in Go and Java code that it says was not run", () => {
    for (const language of ["go", "java"]) {
      const [block] = blocksOf(page, language);
      const before = page.text
        .split("\n")
        .slice(0, (block?.line ?? 1) - 1)
        .join("\n")
        .slice(-250);
      assert.match(before, /\*\*Not run here\*\*/, language);
    }
  });
});

describe("a tenant of an existing platform, adopted as the page says", function () {
  this.timeout(120_000);
  let url: string;
  let admin: pg.Client;
  let registryUrl: string;
  const sessions: pg.Client[] = [];
  const connect = async (at: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: at });
    client.on("error", () => undefined);
    await client.connect();
    sessions.push(client);
    return client;
  };
  const oldUrl = () => {
    const parsed = new URL(url);
    [parsed.username, parsed.password] = ["platform_old", "platform-old"];
    return parsed.href;
  };
  const job = (release: ReleaseTarget, back: ReleaseTarget): TenantJob => ({
    environment,
    tenant: "acme",
    database,
    region: {
      name: "eu",
      postgresUrl: "env:DOCS_POSTGRES_URL",
      vaultAddress: "env:DOCS_VAULT_ADDR",
      vaultToken: "env:DOCS_VAULT_TOKEN",
    },
    release,
    back,
    releaseRoles: releases.map(({ role }) => role),
    deadlineMs: Date.now() + 100_000,
  });

  before(async () => {
    await createRoles();
    const operator = await connect(getPostgresUrl());
    const { rows } = await operator.query<{ rolname: string }>("SELECT rolname FROM pg_roles");
    for (const role of [...releases.map((release) => release.role), "platform_old"])
      if (!rows.some(({ rolname }) => rolname === role))
        await operator.query(`CREATE ROLE ${role} LOGIN PASSWORD 'platform-old'`);
    url = await createDatabase(database);
    registryUrl = await createDatabase(registryDatabase);
    await operator.query(`ALTER DATABASE ${database} OWNER TO platform_old`);
    await ensureTransitMount();
    process.env["DOCS_POSTGRES_URL"] = url;
    process.env["DOCS_VAULT_ADDR"] = getVault().address;
    process.env["DOCS_VAULT_TOKEN"] = getVault().token;
    admin = await connect(url);
    // A platform as one finds it: bodies inline, everything owned by the services' own login, an Alembic history of its own.
    const old = await connect(oldUrl());
    await old.query(`
      CREATE TABLE conversations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text);
      CREATE TABLE prompts (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), title text NOT NULL, body text);
      CREATE TABLE messages (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), conversation_id uuid REFERENCES conversations, body text);
      CREATE TABLE invoices (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number text);
      CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
      INSERT INTO alembic_version VALUES ('a1b2c3');
      INSERT INTO prompts (title, body) SELECT 'title ' || n, 'body ' || n FROM generate_series(1, 50) AS n;
      INSERT INTO prompts (title) VALUES ('without body');
      INSERT INTO messages (body) VALUES ('a message')`);
  });

  after(async () => {
    await Promise.all(sessions.map((client) => client.end()));
    await dropDatabase(database);
    await dropDatabase(registryDatabase);
  });

  it("gets leaf tables by the Alembic step, there, back and there again", async () => {
    const code = blockWith("python", "leaf_tables");
    for (const direction of ["upgrade", "downgrade", "upgrade"]) {
      await python("run_alembic_step.py", { code, url: oldUrl(), direction });
      const from = direction === "upgrade" ? "prompt_bodies" : "prompts";
      const { rows } = await admin.query(`SELECT count(*)::int AS count FROM ${from} WHERE body LIKE 'body %'`);
      assert.deepEqual(rows, [{ count: 50 }], direction);
    }
  });

  it("goes on serving by the old login after the SQL of the page", async () => {
    await admin.query(blockWith("sql", "REASSIGN OWNED"));
    const old = await connect(oldUrl());
    await old.query("INSERT INTO invoices (number) VALUES ('1')");
    await old.query("UPDATE prompt_bodies SET body = 'body 0' WHERE body = 'body 1'");
    const { rows } = await admin.query("SELECT version_num FROM platform_old_version");
    assert.deepEqual(rows, [{ version_num: "a1b2c3" }]);
    const roles = [...releases.map(({ role }) => role), "platform_old"];
    assert.deepEqual(await findObstacles(admin, "acme", getMirror("prompt-encryption"), roles), []);
  });

  it("is in the registry, in its wave, as one that has not arrived", async () => {
    await ensureRegistry(
      registryUrl,
      releases.map(({ role }) => role),
    );
    const client = await connect(registryUrl);
    await client.query(blockWith("sql", "registry.tenant"));
    const registry = new Registry(registryUrl);
    const [tenant] = await registry.projection.overview("eu");
    await registry.close();
    assert.equal(tenant?.status, "active");
    assert.deepEqual(tenant?.tags, ["canary"]);
    assert.equal(tenant?.release, "r1");
    assert.notEqual(tenant?.pin, r1.pin, "else no update would take it over");
  });

  it("is taken over in one transaction: r1's role in, the old login out, by name", async () => {
    const taken = await cutoverTenant(job(r1, r2));
    assert.equal(taken.status, "done", taken.reason);
    const old = await connect(oldUrl());
    await assert.rejects(old.query("SELECT FROM prompts"), { code: "42501" });
    const { rows } = await old.query(blockWith("sql", "rc.whereabouts;"));
    assert.deepEqual([rows[0]?.tenant, rows[0]?.release, rows[0]?.pin], ["acme", "r1", r1.pin]);
    const service = await connect(roleUrl("platform_r1", url));
    const read = await service.query("SELECT FROM prompt_bodies");
    assert.equal(read.rowCount, 51);
    await service.query("INSERT INTO invoices (number) VALUES ('2')");
  });

  it("can be read, and not written, by the login of previews", async () => {
    const role = `docs_preview_${process.pid}`;
    await admin.query(blockWith("sql", "CREATE ROLE rc_preview").replaceAll("rc_preview", role));
    try {
      const at = new URL(databaseUrl(url, database, { role: "rc_reader", isReadOnly: true }));
      [at.username, at.password] = [role, "from your password store"];
      const preview = await connect(at.href);
      assert.equal((await preview.query("SELECT FROM prompt_bodies")).rowCount, 51);
      at.searchParams.delete("options");
      const plain = await connect(at.href);
      await assert.rejects(plain.query("DELETE FROM prompts"), { code: "42501" });
      await assert.rejects(plain.query("SET ROLE rc_migrator"), { code: "42501" });
      await Promise.all([preview.end(), plain.end()]);
      sessions.splice(-2);
    } finally {
      await admin.query(`DROP OWNED BY ${role}`);
      await (await connect(getPostgresUrl())).query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it("is promoted to r2 and rolled back like any other", async () => {
    const [schema] = await upgradeTo([{ database, url }], r2.schema.expandTo);
    assert.equal(schema?.status, "done", schema?.reason);
    for (const [release, back] of [
      [r2, r1],
      [r1, r2],
    ] as const) {
      const prepared = await prepareTenant(job(release, back));
      assert.equal(prepared.status, "done", prepared.reason);
      const moved = await cutoverTenant(job(release, back));
      assert.equal(moved.status, "done", moved.reason);
      const { rows } = await admin.query("SELECT pin FROM rc.whereabouts");
      assert.deepEqual(rows, [{ pin: release.pin }]);
    }
    const { rows } = await admin.query(
      "SELECT (SELECT count(*) FROM prompt_bodies)::int AS clear, (SELECT count(*) FROM prompt_bodies_sealed)::int AS sealed",
    );
    assert.deepEqual(rows, [{ clear: 51, sealed: 51 }]);
  });
});

describe("the page on what stays clear", () => {
  it("asks the ledger by statements that run", async () => {
    const url = await createDatabase("docs_clear");
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      const [schema] = await upgradeTo([{ database: "docs_clear", url }], "0003");
      assert.equal(schema?.status, "done", schema?.reason);
      await client.query("CREATE SCHEMA rc; CREATE TABLE rc.mirror (mirror text, position text)");
      const [block] = blocksOf(readPage("docs/what-stays-clear.md"), "sql");
      const results = (await client.query(block?.text ?? "")) as unknown as pg.QueryResult[];
      assert.deepEqual(results[1]?.rows, [{ version_num: "0003" }]);
      assert.deepEqual(Object.values(results[2]?.rows[0] ?? {}), [null, null]);
    } finally {
      await client.end();
      await dropDatabase("docs_clear");
    }
  });
});
