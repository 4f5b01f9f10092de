import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import pg from "pg";
import type { WaveMember } from "../../migrations/nodes/wave-members.ts";
import { readMembers, withRegistries } from "../../migrations/nodes/wave-members.ts";
import { tenantDatabase } from "../../migrations/registry/tenant-id.ts";
import { lookAtMembers, type Visited } from "../../migrations/visits.ts";
import { databaseUrl, getPostgresUrl } from "../servers.ts";
import { openWave, shut, type WaveFixture } from "./nodes/wave-fixture.ts";
import { r1, r2 } from "./onboarding-fixture.ts";

const [quiet, busy] = ["quiet", "busy"];

describe("visits to tenants' databases", function () {
  this.timeout(120_000);
  let wave: WaveFixture;
  const sessions: pg.Client[] = [];
  before(async () => {
    wave = await openWave();
    await wave.seed([quiet, busy]);
  });
  afterEach(() => closeSessions());
  after(() => wave.close());

  const session = async (tenant: string): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: databaseUrl(tenantDatabase(tenant)) });
    await client.connect();
    sessions.push(client);
    return client;
  };
  const closeSessions = async () => {
    await Promise.all(sessions.splice(0).map((client) => client.end()));
  };

  const server = async <Row extends pg.QueryResultRow>(statement: string, database = "postgres"): Promise<Row[]> => {
    const client = new pg.Client({ connectionString: databaseUrl(database) });
    await client.connect();
    try {
      return (await client.query<Row>(statement)).rows;
    } finally {
      await client.end();
    }
  };

  /** A session that has said goodbye may be seen a moment longer. */
  const untilOnlyOurs = async () => {
    const seen = `SELECT FROM pg_stat_activity WHERE datname = ANY ('{${[quiet, busy].map(tenantDatabase).join()}}')`;
    while ((await server(seen)).length > sessions.length) await sleep(20);
  };

  const members = (release = r2): Promise<readonly WaveMember[]> =>
    withRegistries(wave.inputs(release), { isReadOnly: true }, (registries) =>
      readMembers(wave.inputs(release), registries),
    );

  /** What is found now, and whose databases were visited for it. */
  const look = async (release = r2): Promise<{ visits: readonly Visited[]; visited: string[] }> => {
    const counts = async () =>
      new Map(
        (await server<{ datname: string; sessions: string }>("SELECT datname, sessions FROM pg_stat_database")).map(
          (row) => [row.datname, row.sessions],
        ),
      );
    const before = await counts();
    const there = await members(release);
    const visits = await lookAtMembers(wave.inputs(release), there, () => 1000);
    await untilOnlyOurs();
    const after = await counts();
    const visited = there.map(({ tenant }) => tenant);
    return {
      visits,
      visited: visited.filter(({ database }) => before.get(database) !== after.get(database)).map(({ id }) => id),
    };
  };
  const rowsOf = ({ visits }: { visits: readonly Visited[] }) =>
    visits.map((visit) => (visit instanceof Error ? visit.message : visit.mirrors[0]?.rows));

  /** Looks twice, so that both are known; the tenants come in the order of their ids: busy, quiet. */
  const remember = async () => {
    await untilOnlyOurs();
    await look();
    assert.deepEqual((await look()).visited, []);
  };

  it("are made once as long as nothing changes, and what was found stays what it is", async () => {
    await untilOnlyOurs();
    const first = await look();
    assert.deepEqual(first.visited, [busy, quiet]);
    const second = await look();
    assert.deepEqual(second.visited, []);
    assert.deepEqual(second.visits, first.visits);
    assert.deepEqual(rowsOf(second), [20, 20]);
  });

  it("see one row that was written a moment ago, and by a session that is still there", async () => {
    await remember();
    const writer = await session(busy);
    // A session tells its counts at once, and then not for a while: the second row is not in them yet.
    for (const title of ["x", "x"])
      await writer.query(
        `WITH p AS (INSERT INTO prompts (title) VALUES ('${title}') RETURNING id) INSERT INTO prompt_bodies SELECT id, 'x' FROM p`,
      );
    const open = await look();
    assert.deepEqual([open.visited, rowsOf(open)], [[busy], [22, 20]]);
    await writer.query("DELETE FROM prompts WHERE title = 'x'");
    await closeSessions();
    await untilOnlyOurs();
    const closed = await look();
    assert.deepEqual([closed.visited, rowsOf(closed)], [[busy], [20, 20]]);
  });

  it("are made again for another release, another role and another membership", async () => {
    await remember();
    assert.deepEqual((await look(r1)).visited, [busy, quiet]);
    await remember();
    await server("ALTER ROLE platform_r1 BYPASSRLS");
    try {
      const found = await look();
      assert.deepEqual(found.visited, [busy, quiet]);
      assert.match(JSON.stringify(found.visits), /role platform_r1.*bypasses row-level security/);
    } finally {
      await server("ALTER ROLE platform_r1 NOBYPASSRLS");
    }
    await remember();
    await server("GRANT platform_r1 TO platform_r2");
    try {
      assert.match(JSON.stringify((await look()).visits), /is a member of platform_r1/);
    } finally {
      await server("REVOKE platform_r1 FROM platform_r2");
    }
  });

  it("are repeated for whoever cannot go, and for a database of the same name that is another", async () => {
    await server("ALTER TABLE prompt_bodies ADD author text", tenantDatabase(busy));
    const blocked = await look();
    assert.match(JSON.stringify(blocked.visits[0]), /holds body inline/);
    assert.deepEqual((await look()).visited, [busy]);
    await server("ALTER TABLE prompt_bodies DROP author", tenantDatabase(busy));
    await remember();
    await server(`ALTER DATABASE ${tenantDatabase(quiet)} RENAME TO visits_old`);
    try {
      await server(`CREATE DATABASE ${tenantDatabase(quiet)} TEMPLATE ${tenantDatabase(busy)} OWNER rc_migrator`);
      assert.deepEqual((await look()).visited, [quiet]);
    } finally {
      await untilOnlyOurs();
      await server(`DROP DATABASE IF EXISTS ${tenantDatabase(quiet)}`);
      await server(`ALTER DATABASE visits_old RENAME TO ${tenantDatabase(quiet)}`);
    }
  });

  it("are made each time where somebody does not count his changes", async () => {
    await remember();
    await server("ALTER ROLE platform_r1 SET track_counts = off");
    try {
      assert.deepEqual((await look()).visited, [busy, quiet]);
      assert.deepEqual((await look()).visited, [busy, quiet]);
    } finally {
      await server("ALTER ROLE platform_r1 RESET track_counts");
    }
  });

  it("name the tenant whose database lets nobody in", async () => {
    await remember();
    await server("UPDATE prompts SET title = 'y'", tenantDatabase(busy));
    for (const statement of shut(busy, true)) await server(statement);
    try {
      assert.match(String(rowsOf(await look())[0]), /^tenant busy: /);
    } finally {
      for (const statement of shut(busy, false)) await server(statement);
    }
  });

  it("are true for a login that may only read, which keeps nothing", async () => {
    await remember();
    await server("UPDATE prompts SET title = 'y'", tenantDatabase(busy));
    await server("CREATE ROLE visits_reader LOGIN PASSWORD 'visits' IN ROLE rc_reader");
    const before = process.env["ONB_POSTGRES_URL"];
    try {
      const url = new URL(getPostgresUrl());
      [url.username, url.password] = ["visits_reader", "visits"];
      process.env["ONB_POSTGRES_URL"] = url.href;
      for (let nth = 0; nth < 2; nth += 1) {
        const found = await look();
        assert.deepEqual([found.visited, rowsOf(found)], [[busy], [20, 20]]);
      }
    } finally {
      process.env["ONB_POSTGRES_URL"] = before;
      await server("DROP ROLE visits_reader");
    }
  });

  it("find after any changes, in any order, what visits without a memory find", async () => {
    const changes: Record<string, string> = {
      insert:
        "WITH p AS (INSERT INTO prompts (title) VALUES ('z') RETURNING id) INSERT INTO prompt_bodies SELECT id, 'z' FROM p",
      update:
        "UPDATE prompt_bodies SET body = body || '!' WHERE prompt_id = (SELECT min(prompt_id::text)::uuid FROM prompt_bodies)",
      delete: "DELETE FROM prompts WHERE id = (SELECT min(id::text)::uuid FROM prompts)",
      truncate: "TRUNCATE prompt_bodies",
      copy: "CREATE TABLE extra AS SELECT 1; DROP TABLE extra",
      rule: "ALTER TABLE prompt_bodies ENABLE ROW LEVEL SECURITY",
      unrule: "ALTER TABLE prompt_bodies DISABLE ROW LEVEL SECURITY",
      nothing: "SELECT",
    };
    const act = fc.record({
      tenant: fc.constantFrom(quiet, busy),
      change: fc.constantFrom(...Object.keys(changes)),
      stays: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 1, maxLength: 3 }), async (acts) => {
        for (const { tenant, change, stays } of acts) {
          await (await session(tenant)).query(changes[change] ?? "");
          if (!stays) await closeSessions();
        }
        const remembered = await look();
        await server("TRUNCATE registry.observation", "rc_registry");
        assert.deepEqual(rowsOf(remembered), rowsOf(await look()));
        assert.deepEqual(remembered.visits, (await look()).visits);
        await closeSessions();
      }),
      { numRuns: 12 },
    );
  });
});
