import assert from "node:assert/strict";
import { parse } from "yaml";
import pg from "pg";
import { judgePostgres, postgresGate } from "../../../coordinator/gate/postgres-gate.ts";
import type { PostgresHealth } from "../../../coordinator/gate/postgres-gate.ts";
import { parseEnvironment } from "../../../releases/environment.ts";
import { createDatabase, databaseUrl, dropDatabase, getPostgresUrl } from "../../servers.ts";
import { stackText } from "../command-fixture.ts";

const raw = (parse(stackText) as { config: Record<string, object> }).config["release-coordinator:environment"] ?? {};
const healthy: PostgresHealth = {
  isStandby: false,
  isReadOnly: false,
  sessions: 90,
  maxSessions: 100,
  oldestXidAge: 1_600_000_000,
  oldestTransactionSeconds: 3600,
};

describe("the gate of PostgreSQL", () => {
  const before = process.env["RC_POSTGRES_URL"];
  afterEach(() => {
    if (before === undefined) delete process.env["RC_POSTGRES_URL"];
    else process.env["RC_POSTGRES_URL"] = before;
  });
  const ask = (url: string) => {
    process.env["RC_POSTGRES_URL"] = url;
    return postgresGate(parseEnvironment(raw));
  };

  it("is open for a server that takes writes, and says how many sessions are taken", async () => {
    const { outcome, evidence } = await ask(getPostgresUrl());
    assert.equal(outcome, "go", evidence);
    assert.match(evidence, /^PostgreSQL of region local: primary, [1-9]\d* of \d+ sessions taken$/);
  });

  it("is shut while the server does not answer, or its database takes no writes", async () => {
    const gone = await ask("postgresql://rc_operator:secret-word@127.0.0.1:9/postgres");
    assert.equal(gone.outcome, "no-go");
    assert.match(gone.evidence, /region local/);
    assert.doesNotMatch(gone.evidence, /secret-word/);
    assert.equal(gone.canOverride, false);
    await createDatabase("read_only_gate");
    const client = new pg.Client({ connectionString: getPostgresUrl() });
    await client.connect();
    try {
      await client.query("ALTER DATABASE read_only_gate SET default_transaction_read_only = on");
      const { outcome, evidence } = await ask(databaseUrl("read_only_gate"));
      assert.equal(outcome, "no-go");
      assert.match(evidence, /is read-only \(default_transaction_read_only\)/);
    } finally {
      await client.end();
      await dropDatabase("read_only_gate");
    }
  });

  it("has limits, and goes at each of them and not beyond", () => {
    assert.equal(judgePostgres("eu", healthy).outcome, "go");
    const beyond: [Partial<PostgresHealth>, string, RegExp][] = [
      [{ isStandby: true, isReadOnly: true }, "no-go", /^PostgreSQL of region eu is a standby: name its primary/],
      [{ oldestXidAge: 1_600_000_001 }, "no-go", /1600000001 transaction ids: VACUUM/],
      [{ sessions: 91 }, "needs-human", /91 of 100 sessions/],
      [{ oldestTransactionSeconds: 3660 }, "needs-human", /open for 61 min/],
      [{ sessions: 91, isReadOnly: true }, "no-go", /read-only.*91 of 100/],
    ];
    for (const [change, outcome, evidence] of beyond) {
      const judged = judgePostgres("eu", { ...healthy, ...change });
      assert.equal(judged.outcome, outcome);
      assert.match(judged.evidence, evidence);
    }
  });
});
