import assert from "node:assert/strict";
import { PostgresError } from "../../../migrations/postgres/errors.ts";
import { findServerMend, isBrokenConnection, tellServerFault } from "../../../migrations/postgres/server-fault.ts";

const url = "postgresql://login:a-secret@db.example:5433/postgres";

describe("faults of the server", () => {
  it("names tenant, server, what it said and the mend, and never the login", () => {
    const told = tellServerFault(new PostgresError("could not extend file [SQLSTATE 53100]", "53100"), "acme", url);
    assert.match(
      told,
      /^tenant acme: PostgreSQL at db\.example:5433: could not extend file \[SQLSTATE 53100\]; free space/,
    );
    assert.match(told, /run the update again/);
    assert.doesNotMatch(told, /secret|login/);
  });

  it("says the tenant once, also when the error has named it", () => {
    const cause = new PostgresError("permission denied [SQLSTATE 42501]", "42501");
    const told = tellServerFault(new Error("tenant acme: permission denied [SQLSTATE 42501]", { cause }), "acme", url);
    assert.equal(told.match(/tenant acme/g)?.length, 1);
    assert.match(told, /GRANT rc_migrator/);
  });

  it("knows a broken connection by SQLSTATE, by the system's code and by the driver's words", () => {
    const broken = [
      new PostgresError("terminating connection due to administrator command", "57P01"),
      new PostgresError("terminating connection due to crash of another server process", "57P02"),
      Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" }),
      new Error("Connection terminated unexpectedly"),
      new Error("Client has encountered a connection error and is not queryable"),
    ];
    for (const error of broken) assert.ok(isBrokenConnection(error), error.message);
    assert.match(findServerMend(broken[0] as Error) ?? "", /pg_isready/);
  });

  it("sends whoever waits for a lock to the transaction that holds it", () => {
    const told = tellServerFault(new PostgresError("canceling statement due to lock timeout", "55P03"), "acme", url);
    assert.match(told, /^tenant acme: .*open longest in pg_stat_activity/);
  });

  it("leaves everything else as it is", () => {
    for (const error of [new Error("nothing was moved"), new PostgresError("duplicate key", "23505")]) {
      assert.ok(!isBrokenConnection(error));
      assert.equal(tellServerFault(error, "acme", url), error.message);
    }
  });
});
