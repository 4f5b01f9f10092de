import assert from "node:assert/strict";
import pg from "pg";
import { getPostgresUrl } from "../servers.ts";
import { faultsOfState } from "./official-sdk.ts";
import { ProgramStack } from "./program-stack.ts";

const password = "plg one ' two";

function program(
  options: { connections?: number; privileges?: string[]; objects?: boolean; password?: string } = {},
): string {
  const url = new URL(getPostgresUrl());
  const tables = `new postgresql.Grant("tables", { role: reader.name, database: database.name, schema: "public", objectType: "table",
    privileges: ["SELECT"] }, child);`;
  return `
    import * as pulumi from "@pulumi/pulumi";
    import * as postgresql from "@pulumi/postgresql";
    const provider = new postgresql.Provider("server", {
      host: "${url.hostname}", port: ${url.port}, username: "${url.username}", password: "${decodeURIComponent(url.password)}", sslmode: "disable",
    });
    const child = { provider };
    const owner = new postgresql.Role("owner", { name: "plg_owner", login: false }, child);
    const reader = new postgresql.Role("reader", {
      name: "plg_reader", login: true, password: ${JSON.stringify(options.password ?? password)}, connectionLimit: ${options.connections ?? -1},
    }, child);
    const database = new postgresql.Database("database", { name: "plg_database", owner: owner.name, template: "template0", encoding: "UTF8" }, child);
    const vector = new postgresql.Extension("vector", { name: "vector", database: database.name }, child);
    new postgresql.GrantRole("member", { role: reader.name, grantRole: owner.name }, child);
    new postgresql.Grant("connect", { role: reader.name, database: database.name, objectType: "database",
      privileges: ${JSON.stringify(options.privileges ?? ["CONNECT", "TEMPORARY"])} }, child);
    new postgresql.Grant("schema", { role: reader.name, database: database.name, schema: "public", objectType: "schema", privileges: ["USAGE"] }, child);
    ${options.objects ? tables : ""}
    export const version = vector.version;
    export const tablespace = database.tablespaceName;
  `;
}

describe("stand-in of the postgresql plugin", function () {
  this.timeout(180_000);
  let stack: ProgramStack;

  before(async () => {
    stack = await ProgramStack.create();
  });

  after(async () => {
    await stack.destroy();
    await query(`DROP DATABASE IF EXISTS plg_database WITH (FORCE)`);
    await query(`DROP ROLE IF EXISTS plg_reader, plg_owner`);
    await stack.remove();
  });

  it("previews what it would make without touching the server", async () => {
    const run = await stack.preview(program());
    assert.equal(run.exitCode, 0, run.text);
    assert.deepEqual(run.summary, { create: 9 });
    assert.deepEqual(await query("SELECT FROM pg_roles WHERE rolname LIKE 'plg%'"), []);
  });

  it("makes roles, a database, an extension, memberships and grants; then finds nothing to do, nor drift", async () => {
    const run = await stack.up(program());
    assert.deepEqual(run.summary, { create: 9 }, run.text);
    const [reader] = await query(
      "SELECT rolcanlogin, rolinherit, rolconnlimit FROM pg_roles WHERE rolname = 'plg_reader'",
    );
    assert.deepEqual(reader, { rolcanlogin: true, rolinherit: true, rolconnlimit: -1 });
    assert.deepEqual(await query("SELECT 1 AS one", { user: "plg_reader", password, database: "plg_database" }), [
      { one: 1 },
    ]);
    const [extension] = await query("SELECT extversion AS version FROM pg_extension WHERE extname = 'vector'", {
      database: "plg_database",
    });
    assert.deepEqual(await stack.outputs(), { ...extension, tablespace: "pg_default" });
    assert.deepEqual((await stack.up(program())).summary, { same: 9 });
    assert.deepEqual((await stack.refresh()).summary, { same: 9 });
  });

  it("returns what the official SDK's types say, no output more, none less, and secret what is secret there", async () => {
    const resources = await stack.resources();
    assert.ok(resources.length > 5);
    assert.deepEqual(resources.flatMap(faultsOfState), []);
  });

  it("writes ids as the official plugin does, and no password in clear", async () => {
    const ids = (await stack.resources()).map(({ urn, id }) => [urn.split("::").at(-1), id]);
    assert.deepEqual(Object.fromEntries(ids), {
      owner: "plg_owner",
      reader: "plg_reader",
      database: "plg_database",
      vector: "plg_database.vector",
      member: "plg_reader_plg_owner_false",
      connect: "plg_reader_plg_database_database",
      schema: "plg_reader_plg_database_public_schema",
    });
    assert.ok(!(await stack.stateFile()).includes(password));
  });

  it("changes limits, passwords and privileges in place, and replaces nothing", async () => {
    const changed = { connections: 7, privileges: ["CONNECT"], password: "plg other" };
    const run = await stack.up(program(changed));
    assert.deepEqual(run.summary, { same: 7, update: 2 }, run.text);
    const [reader] = await query("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'plg_reader'");
    assert.deepEqual(reader, { rolconnlimit: 7 });
    const login = { user: "plg_reader", password: "plg other", database: "plg_database" };
    assert.deepEqual(await query("SELECT 1 AS one", login), [{ one: 1 }]);
    const acl =
      "SELECT privilege_type FROM pg_database, aclexplode(datacl) WHERE datname = 'plg_database' AND pg_get_userbyid(grantee) = 'plg_reader'";
    assert.deepEqual(await query(acl), [{ privilege_type: "CONNECT" }]);
    assert.deepEqual((await stack.up(program(changed))).summary, { same: 9 });
  });

  it("sees in a refresh what somebody changed on the server, and brings it back", async () => {
    await query("ALTER ROLE plg_reader CONNECTION LIMIT 3 PASSWORD 'somebody else'");
    await query("REVOKE CONNECT ON DATABASE plg_database FROM plg_reader");
    const changed = { connections: 7, privileges: ["CONNECT"], password: "plg other" };
    const refreshed = await stack.refresh();
    assert.deepEqual(refreshed.summary, { same: 7, update: 2 }, refreshed.text);
    assert.deepEqual((await stack.up(program(changed))).summary, { same: 7, update: 2 });
    const login = { user: "plg_reader", password: "plg other", database: "plg_database" };
    assert.deepEqual(await query("SELECT 1 AS one", login), [{ one: 1 }]);
  });

  it("grants on all tables of a schema and takes them back", async () => {
    await query("CREATE TABLE IF NOT EXISTS public.plg_table (id int)", { database: "plg_database" });
    const changed = { connections: 7, privileges: ["CONNECT"], password: "plg other" };
    const run = await stack.up(program({ ...changed, objects: true }));
    assert.deepEqual(run.summary, { create: 1, same: 9 }, run.text);
    const may = "SELECT has_table_privilege('plg_reader', 'public.plg_table', 'SELECT') AS may";
    assert.deepEqual(await query(may, { database: "plg_database" }), [{ may: true }]);
    assert.deepEqual((await stack.refresh()).summary, { same: 10 });
    assert.deepEqual((await stack.up(program(changed))).summary, { delete: 1, same: 9 });
    assert.deepEqual(await query(may, { database: "plg_database" }), [{ may: false }]);
  });

  it("refuses a role that exists and names the import that mends it", async () => {
    await query("CREATE ROLE plg_stranger");
    try {
      const run = await stack.up(
        program({ connections: 7, privileges: ["CONNECT"], password: "plg other" }) +
          `new postgresql.Role("stranger", { name: "plg_stranger" }, child);`,
      );
      assert.notEqual(run.exitCode, 0);
      assert.match(run.text, /pulumi import postgresql:index\/role:Role plg_stranger plg_stranger/);
    } finally {
      await query("DROP ROLE plg_stranger");
    }
  });

  it("refuses in the preview what it does not serve, and a rename", async () => {
    const unserved = program() + `new postgresql.Role("more", { name: "plg_more", statementTimeout: 5 }, child);`;
    const first = await stack.preview(unserved);
    assert.notEqual(first.exitCode, 0);
    assert.match(first.text, /does not serve \\*"statementTimeout/);
    assert.match(first.text, /pulumi plugin install resource postgresql 3\.18\.1/);
    const renamed = await stack.preview(program().replace("plg_owner", "plg_renamed"));
    assert.notEqual(renamed.exitCode, 0);
    assert.match(renamed.text, /changes from \\*"plg_owner\\*" to \\*"plg_renamed/);
  });

  it("removes all of it", async () => {
    const run = await stack.destroy();
    assert.equal(run.exitCode, 0, run.text);
    assert.deepEqual(await query("SELECT FROM pg_roles WHERE rolname LIKE 'plg%'"), []);
    assert.deepEqual(await query("SELECT FROM pg_database WHERE datname LIKE 'plg%'"), []);
  });
});

async function query(text: string, login: pg.ClientConfig = {}): Promise<Record<string, unknown>[]> {
  const url = new URL(getPostgresUrl());
  const client = new pg.Client({
    host: url.hostname,
    port: Number(url.port),
    user: url.username,
    password: decodeURIComponent(url.password),
    database: "postgres",
    ...login,
  });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}
