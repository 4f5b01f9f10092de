import assert from "node:assert/strict";
import { findObstacles, obstacleText } from "../../../migrations/mirror/preflight.ts";
import { prepareTenant } from "../../../migrations/mirror/engine.ts";
import { connect } from "../../../migrations/postgres/connect.ts";
import { promptEncryption } from "../../../migrations/prompt-encryption.ts";
import { databaseUrl } from "../../servers.ts";
import { createTenant, r1, r2, seedPrompts, type TestTenant } from "./tenant-fixture.ts";

const roles = [r1.role, r2.role];

describe("preflight", function () {
  this.timeout(60_000);
  let tenant: TestTenant;
  before(async () => {
    tenant = await createTenant();
    await seedPrompts(tenant, 3);
  });
  after(() => tenant.close());

  /** What a reader finds after a change that is rolled back by its opposite. */
  async function reasons(change: string, undo: string): Promise<string[]> {
    await tenant.admin.query(change);
    const reader = await connect({
      url: databaseUrl(tenant.database),
      database: tenant.database,
      role: "rc_reader",
      applicationName: "test",
      isReadOnly: true,
    });
    try {
      return (await findObstacles(reader, tenant.tenant, promptEncryption, roles)).map(obstacleText);
    } finally {
      await reader.end();
      await tenant.admin.query(undo);
    }
  }

  it("has nothing against the platform's own tables", async () => {
    assert.deepEqual(await reasons("SELECT", "SELECT"), []);
  });

  const cases: [what: string, change: string, undo: string, expected: RegExp][] = [
    [
      "text inline in a wide table",
      "ALTER TABLE public.prompt_bodies ADD author text",
      "ALTER TABLE public.prompt_bodies DROP author",
      /prompt_bodies: holds body inline, beside author; split the column off/,
    ],
    [
      "a payload that may be NULL",
      "ALTER TABLE public.prompt_bodies ALTER body DROP NOT NULL",
      "ALTER TABLE public.prompt_bodies ALTER body SET NOT NULL",
      /prompt_bodies: body may be NULL; .*SET NOT NULL/,
    ],
    [
      "a missing primary key",
      "ALTER TABLE public.prompt_bodies DROP CONSTRAINT prompt_bodies_pkey",
      "ALTER TABLE public.prompt_bodies ADD PRIMARY KEY (prompt_id)",
      /prompt_bodies: has no primary key; ALTER TABLE/,
    ],
    [
      "row-level security",
      "ALTER TABLE public.message_bodies ENABLE ROW LEVEL SECURITY",
      "ALTER TABLE public.message_bodies DISABLE ROW LEVEL SECURITY",
      /message_bodies: has row-level security/,
    ],
    [
      "a foreign trigger",
      "CREATE TRIGGER audit BEFORE UPDATE ON public.prompt_bodies FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
      "DROP TRIGGER audit ON public.prompt_bodies",
      /prompt_bodies: has triggers that are not the engine's: audit/,
    ],
    [
      "a generated column",
      "ALTER TABLE public.prompt_bodies ADD length int GENERATED ALWAYS AS (length(body)) STORED",
      "ALTER TABLE public.prompt_bodies DROP length",
      /has generated columns length/,
    ],
    [
      "a view",
      "CREATE VIEW public.report AS SELECT body FROM public.prompt_bodies",
      "DROP VIEW public.report",
      /views read it and would stop working: (public\.)?report/,
    ],
    [
      "a table that refers to the leaf",
      "CREATE TABLE public.note (id uuid REFERENCES public.prompt_bodies)",
      "DROP TABLE public.note",
      /tables refer to it: (public\.)?note/,
    ],
    [
      "inheritance",
      "CREATE TABLE public.child () INHERITS (public.prompt_bodies)",
      "DROP TABLE public.child",
      /is partitioned or inherits/,
    ],
    [
      "another primary key",
      "ALTER TABLE public.prompt_bodies DROP CONSTRAINT prompt_bodies_pkey, ADD PRIMARY KEY (body)",
      "ALTER TABLE public.prompt_bodies DROP CONSTRAINT prompt_bodies_pkey, ADD PRIMARY KEY (prompt_id)",
      /its primary key is \(body\), the mirror's is \(prompt_id\)/,
    ],
    [
      "a release role that owns a table",
      "ALTER TABLE public.messages OWNER TO platform_r1",
      "ALTER TABLE public.messages OWNER TO rc_migrator",
      /role platform_r1: owns messages/,
    ],
    [
      "a payload above the limit",
      "INSERT INTO public.prompts (id) VALUES ('00000000-0000-0000-0000-000000000001'); INSERT INTO public.prompt_bodies VALUES ('00000000-0000-0000-0000-000000000001', repeat('x', 64 * 1024 * 1024 + 1))",
      "DELETE FROM public.prompts WHERE id = '00000000-0000-0000-0000-000000000001'",
      /1 values of body are larger than 67108864 bytes \(the largest has 67108865\)/,
    ],
  ];
  for (const [what, change, undo, expected] of cases) {
    it(`refuses ${what}`, async () => {
      const found = await reasons(change, undo);
      assert.equal(found.length, 1, found.join("\n"));
      assert.match(found[0] as string, expected);
      assert.match(found[0] as string, new RegExp(`^tenant ${tenant.tenant}, `));
    });
  }

  it("refuses a release role that the fence could not hold", async () => {
    const role = `mir_${tenant.tenant}`;
    await tenant.admin.query(`CREATE ROLE ${role} SUPERUSER`);
    try {
      const look = async (): Promise<string> =>
        (await findObstacles(tenant.admin, "t", promptEncryption, [role])).map(obstacleText).join("\n");
      assert.match(await look(), /is a superuser/);
      await tenant.admin.query(`ALTER ROLE ${role} NOSUPERUSER BYPASSRLS`);
      assert.match(await look(), /bypasses row-level security/);
      await tenant.admin.query(`ALTER ROLE ${role} NOBYPASSRLS; GRANT rc_migrator TO ${role}`);
      assert.match(await look(), /is a member of rc_migrator, who owns the tables; REVOKE rc_migrator FROM/);
      await tenant.admin.query(`REVOKE rc_migrator FROM ${role}; GRANT platform_r2 TO ${role}`);
      const among = (await findObstacles(tenant.admin, "t", promptEncryption, [role, "platform_r2"])).map(obstacleText);
      assert.match(
        among.join("\n"),
        /is a member of platform_r2, whose privileges a fence leaves; REVOKE platform_r2 FROM/,
      );
      await tenant.admin.query(`REVOKE platform_r2 FROM ${role}; GRANT pg_write_all_data TO ${role}`);
      assert.match(await look(), /is a member of pg_write_all_data/);
      await tenant.admin.query(`REVOKE pg_write_all_data FROM ${role}; ALTER ROLE ${role} CREATEROLE`);
      assert.match(await look(), /may give itself other roles/);
    } finally {
      await tenant.admin.query(`DROP ROLE ${role}`);
    }
  });

  it("keeps prepare from beginning", async () => {
    await tenant.admin.query("ALTER TABLE public.prompt_bodies ADD author text");
    const result = await prepareTenant(tenant.job(r2));
    assert.equal(result.status, "failed");
    assert.match(result.reason ?? "", /holds body inline/);
    const triggers = await tenant.admin.query("SELECT FROM pg_trigger WHERE tgname LIKE 'zz_rc%'");
    assert.equal(triggers.rowCount, 0);
    await tenant.admin.query("ALTER TABLE public.prompt_bodies DROP author");
    assert.equal((await prepareTenant(tenant.job(r2))).status, "done");
  });
});
