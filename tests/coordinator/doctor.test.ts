import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { Server } from "node:http";
import { join } from "node:path";
import pg from "pg";
import { getRelease } from "../../releases/catalog.ts";
import { createDatabase, databaseUrl, dropDatabase, getPostgresUrl, getVault } from "../servers.ts";
import { CommandFixture, stackText } from "./command-fixture.ts";

interface Finding {
  readonly subject: string;
  readonly outcome: string;
  readonly found: string;
  readonly mend?: string;
}

/** A live platform with real PostgreSQL, Vault and Pulumi; of Docker only the answer to `GET /version`. */
describe("coordinator doctor", function () {
  this.timeout(120_000);
  let fixture: CommandFixture;
  let docker: Server;
  let imagesFile: string;

  const sql = async (database: string, ...statements: string[]) => {
    const client = new pg.Client({ connectionString: databaseUrl(database) });
    await client.connect();
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  };
  const examine = async (...words: string[]) => {
    const run = await fixture.dev("doctor", "--json", ...words);
    assert.notEqual(run.code, 1, run.stderr + run.stdout);
    const { findings, outcome } = JSON.parse(run.stdout) as { findings: Finding[]; outcome: string };
    return { code: run.code, findings, outcome };
  };
  /** The mends of what is not in order and matches. */
  const mends = (findings: readonly Finding[], found: RegExp) =>
    findings
      .filter((each) => each.outcome !== "go" && found.test(`${each.subject}: ${each.found}`))
      .map(({ mend }) => mend);
  const everything = async () => {
    const client = new pg.Client({ connectionString: getPostgresUrl() });
    await client.connect();
    const { rows } = await client.query(
      `SELECT (SELECT jsonb_agg(to_jsonb(r) - 'rolpassword' ORDER BY oid) FROM pg_roles AS r) AS roles,
         (SELECT jsonb_agg(datname ORDER BY oid) FROM pg_database) AS databases,
         (SELECT jsonb_agg(to_jsonb(m) ORDER BY oid) FROM pg_auth_members AS m) AS members`,
    );
    await client.end();
    const { address, token } = getVault();
    const read = (path: string) =>
      fetch(new URL(`/v1/sys/${path}`, address), { headers: { "X-Vault-Token": token } })
        .then((answer) => answer.json() as Promise<{ data: object }>)
        .then(({ data }) => Object.keys(data).sort());
    return { rows, mounts: await read("mounts"), auth: await read("auth"), audit: await read("audit") };
  };

  before(async () => {
    fixture = await CommandFixture.open();
    imagesFile = join(fixture.stack.folder, "images.json");
    const socket = join(fixture.stack.folder, "docker.sock");
    docker = createServer((_request, response) => response.end('{"Version":"20.10.24"}'));
    await new Promise<void>((done) => docker.listen(socket, done));
    fixture.stack.setVariables({ DOCKER_HOST: `unix://${socket}`, RC_IMAGES_FILE: imagesFile });
  });
  after(async () => {
    await new Promise((done) => docker.close(done));
    await dropDatabase("tenant_doctor_old");
    await fixture.close();
  });

  it("reads a platform that no update has touched, writes nothing, and says what the first update makes", async () => {
    const before = await everything();
    const { code, findings } = await examine();
    assert.equal(code, 2);
    assert.deepEqual(await everything(), before);
    const told = findings.map(({ subject, found }) => `${subject}: ${found}`).join("\n");
    assert.match(told, /registry: the database is there; the first update makes its tables/);
    assert.match(told, /vault local: http\S+ is unsealed and knows the token/);
    assert.match(told, /the first update with present\.vault makes mounts transit-dev\//);
    assert.match(told, /docker: unix:\S+ answers, version 20\.10\.24/);
    assert.match(told, /backend: reachable, has stack dev/);
    assert.match(told, /passphrase: opens the stack file's salt/);
    assert.match(
      mends(findings, /role platform_r1 exists/)[0] ?? "",
      /pulumi import postgresql:index\/role:Role platform_r1/,
    );
    assert.deepEqual(mends(findings, /has none for r1\/platform-api/), ["coordinator images resolve, or make up"]);
    // The services of the fixture listen already, and a first update must find the ports free.
    assert.match(mends(findings, /fleets: http\S+ of platform-api is taken/)[0] ?? "", /another docker\.basePort/);
  });

  it("names roles that a fence could not hold, each with its mend", async () => {
    await sql(
      "postgres",
      "ALTER ROLE platform_r1 SUPERUSER BYPASSRLS CREATEDB",
      "GRANT rc_migrator TO platform_r2",
      "ALTER ROLE rc_reader LOGIN",
    );
    const { findings } = await examine();
    await sql(
      "postgres",
      "ALTER ROLE platform_r1 NOSUPERUSER NOBYPASSRLS NOCREATEDB",
      "REVOKE rc_migrator FROM platform_r2",
      "ALTER ROLE rc_reader NOLOGIN",
    );
    assert.deepEqual(mends(findings, /platform_r1 is a superuser/), ["ALTER ROLE platform_r1 NOSUPERUSER"]);
    assert.deepEqual(mends(findings, /platform_r1 bypasses/), ["ALTER ROLE platform_r1 NOBYPASSRLS"]);
    assert.deepEqual(mends(findings, /platform_r1 may create/), ["ALTER ROLE platform_r1 NOCREATEROLE NOCREATEDB"]);
    assert.deepEqual(mends(findings, /platform_r2 is a member of/), ["REVOKE rc_migrator FROM platform_r2"]);
    assert.deepEqual(mends(findings, /rc_reader can log in/), ["ALTER ROLE rc_reader NOLOGIN"]);
  });

  it("names inline text, owners, the missing extension and the missing revision of a database to adopt", async () => {
    await createDatabase("tenant_doctor_old");
    await sql(
      "tenant_doctor_old",
      "DROP EXTENSION vector",
      "CREATE TABLE prompts (id uuid PRIMARY KEY, title text, body text NOT NULL)",
      "CREATE TABLE message_bodies (message_id uuid PRIMARY KEY, body text NOT NULL, note text)",
      "ALTER TABLE prompts OWNER TO platform_r1",
    );
    const { findings, code } = await examine();
    assert.equal(code, 2);
    const own = findings.filter(({ subject }) => subject === "database tenant_doctor_old");
    assert.match(
      mends(own, /prompts holds body inline, and there is no table prompt_bodies/)[0] ?? "",
      /moves body into prompt_bodies \(prompt_id, body\) with a primary key on prompt_id/,
    );
    assert.match(mends(own, /message_bodies: holds body inline, beside note/)[0] ?? "", /split the column off/);
    assert.deepEqual(mends(own, /prompts belongs to platform_r1/), ["ALTER TABLE prompts OWNER TO rc_migrator"]);
    assert.deepEqual(mends(own, /vector is not installed/), ["CREATE EXTENSION vector"]);
    assert.match(mends(own, /Alembic has never run here/)[0] ?? "", /alembic stamp 0001/);
    const none = await examine("--database", "no_such_database");
    assert.equal(mends(none.findings, /database no_such_database: .*does not exist/).length, 1);
  });

  it("is content with a platform that an update has made", async () => {
    const images = getRelease("r1").services.map(({ name, source }) => [
      `r1/${name}`,
      { image: "x", digest: "y", source },
    ]);
    await writeFile(imagesFile, JSON.stringify(Object.fromEntries(images)));
    await fixture.dev("tenant", "onboard", "cmd-acme", "--tags", "canary");
    await fixture.dev("tenant", "onboard", "cmd-cobalt");
    const { findings, outcome } = await examine();
    assert.deepEqual(
      findings.filter((each) => each.outcome === "no-go"),
      [],
    );
    assert.equal(outcome, "go");
    const told = findings.map(({ subject, found }) => `${subject}: ${found}`).join("\n");
    assert.match(told, /registry: tables are there; tenants: 1 in canary, 1 in general/);
    assert.match(told, /database tenant_cmd_acme: tables, owners, extension and revision are as needed/);
    assert.match(told, /fleets: 4 services are ready and say their pin/);
    const text = (await fixture.dev("doctor")).stdout;
    assert.match(text, /^0 missing, 0 to decide, \d+ in order\nok {3}stack file/);
  });

  it("names what has gone since: a revision, a tenant's wave, an image, a service", async () => {
    const [first] = getRelease("r1").services.filter(({ kind }) => kind === "container");
    await sql("tenant_cmd_acme", "UPDATE alembic_version SET version_num = '0003'");
    await writeFile(imagesFile, JSON.stringify({ [`r1/${first?.name}`]: { image: "x", source: "0".repeat(64) } }));
    const port = Number(fixture.stack.variables["RC_FLEET_BASE_PORT"]);
    fixture.stack.setVariables({ RC_FLEET_BASE_PORT: String(port + 40) });
    const { findings } = await examine();
    fixture.stack.setVariables({ RC_FLEET_BASE_PORT: String(port) });
    await sql("tenant_cmd_acme", "UPDATE alembic_version SET version_num = '0001'");
    assert.match(mends(findings, /tenant_cmd_acme: Alembic is at 0003; .* run with 0001/)[0] ?? "", /pin the release/);
    assert.match(
      mends(findings, /r1\/platform-api was built from 0{64}/)[0] ?? "",
      /push what the release was built from/,
    );
    assert.equal(mends(findings, /has none for r1\//).length, 3);
    assert.equal(mends(findings, /platform-api of r1@\w+: no answer/).length, 1);
  });

  it("tells one fault of each part when nothing is there, and never a credential", async () => {
    fixture.stack.setVariables({
      RC_VAULT_TOKEN: "hunter2-token",
      PULUMI_CONFIG_PASSPHRASE: "hunter2",
      DOCKER_HOST: "unix:///nowhere/docker.sock",
      RC_POSTGRES_URL: "postgresql://ana:hunter2@127.0.0.1:1/postgres",
    });
    const { findings, code } = await examine();
    fixture.stack.setVariables({
      RC_VAULT_TOKEN: getVault().token,
      PULUMI_CONFIG_PASSPHRASE: "test",
      RC_POSTGRES_URL: getPostgresUrl(),
    });
    assert.equal(code, 2);
    assert.doesNotMatch(JSON.stringify(findings), /hunter2/);
    for (const told of [
      /registry: .*ECONNREFUSED/,
      /postgres local: .*ECONNREFUSED/,
      /vault local: .*does not let the token read auth\/token\/lookup-self/,
      /docker: .*does not answer/,
      /passphrase: is not the one the stack was made with/,
    ])
      assert.equal(mends(findings, told).length, 1, `${told}: ${JSON.stringify(findings, null, 1)}`);
  });

  it("needs a stack in the backend", async () => {
    await rm(join(fixture.stack.folder, "backend", ".pulumi", "stacks"), { recursive: true });
    assert.deepEqual(mends((await examine()).findings, /has no stack dev/), ["pulumi stack init dev"]);
    assert.ok(stackText.includes("runtime: docker"));
  });
});
