import assert from "node:assert/strict";
import { inspect } from "node:util";
import pg from "pg";
import { withoutRows } from "../../../migrations/postgres/errors.ts";
import { inTransaction } from "../../../migrations/postgres/transaction.ts";
import { getPostgresUrl } from "../../servers.ts";

describe("errors of PostgreSQL", () => {
  let client: pg.Client;
  before(async () => {
    client = new pg.Client({ connectionString: getPostgresUrl() });
    await client.connect();
    await client.query("CREATE TEMP TABLE secret (id int PRIMARY KEY, body text CHECK (body <> 'top secret'))");
  });
  after(() => client.end());

  for (const [what, statement, code] of [
    ["a duplicate key", "INSERT INTO secret VALUES (424242, 'a'), (424242, 'b')", "23505"],
    ["a violated check", "INSERT INTO secret VALUES (424242, 'top secret')", "23514"],
    ["a value of the wrong type", "SELECT '424242 top secret'::uuid", "22P02"],
    ["an error inside a function", "DO $$ BEGIN PERFORM '424242 top secret'::uuid; END $$", "22P02"],
  ] as const) {
    it(`say what happened with ${what}, without the row`, async () => {
      const error = await inTransaction(client, () => client.query(statement)).catch(
        (caught: unknown) => caught as Error,
      );
      assert.equal((error as { code?: string }).code, code);
      assert.doesNotMatch(inspect(error, { depth: 9 }).replaceAll(statement, ""), /424242|top secret/);
    });
  }

  it("leave other errors as they are", () => {
    const error = new TypeError("ours");
    assert.equal(withoutRows(error), error);
  });
});
