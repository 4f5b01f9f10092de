import assert from "node:assert/strict";
import pg from "pg";
import { databaseUrl } from "../servers.ts";
import { CommandFixture, r1, r2 } from "./command-fixture.ts";

/** The fleet kept for the way back leaves when registry, ledgers and data all say that nobody needs it. */
describe("coordinator decommission of a fleet", function () {
  this.timeout(120_000);
  let fixture: CommandFixture;
  const tenants = ["cmd-acme", "cmd-cobalt"];
  const inLedgers = async (statement: string) => {
    for (const id of tenants) {
      const client = new pg.Client({ connectionString: databaseUrl(`tenant_${id.replaceAll("-", "_")}`) });
      await client.connect();
      await client.query(statement).finally(() => client.end());
    }
  };
  const refused = async (told: RegExp) => {
    const [file, updates] = [await fixture.fileText(), await fixture.updates()];
    const run = await fixture.dev("decommission", "r1");
    assert.equal(run.code, 2, run.stderr + run.stdout);
    assert.match(run.stdout, told);
    assert.equal(await fixture.fileText(), file);
    assert.equal(await fixture.updates(), updates);
  };

  before(async () => {
    fixture = await CommandFixture.open();
    await fixture.dev("tenant", "onboard", "cmd-acme", "--tags", "canary");
    await fixture.dev("tenant", "onboard", "cmd-cobalt");
    await fixture.stack.pulumi("up", "--yes", "--skip-preview", "-s", "dev");
    const text = await fixture.fileText();
    const pinned = text.replaceAll(`now: ${r1}, back: none`, `now: ${r2}, back: ${r1}`);
    await fixture.stack.writeStackFile(pinned.replace("vault: false", "vault: true"));
  });
  after(() => fixture.close());

  it("refuses while the registry routes a tenant there", async () => {
    await refused(/the registry routes to r1: 2 tenants \(cmd-acme, cmd-cobalt\); finish the promotion first/);
  });

  it("refuses while a ledger says otherwise than the registry", async () => {
    await fixture.registry.routes.point(tenants, { release: "r2", pin: r2 });
    await refused(/no-go: - on r1 by their own ledgers: 2 tenants/);
  });

  it("refuses while data is not where the release that stays wants it", async () => {
    await inLedgers(`UPDATE rc.whereabouts SET release = 'r2', pin = '${r2}'`);
    await refused(/no-go: - data not moved yet: 2 tenants .*coordinator promote goes on/);
  });

  it("closes the way back in one update, and says what that costs", async () => {
    await inLedgers("INSERT INTO rc.mirror (mirror, position) VALUES ('prompt-encryption', 'switched')");
    const dry = await fixture.dev("decommission", "r1", "--dry-run");
    assert.match(
      dry.stdout,
      /it could go, in one update\n {2}- going back to r1 then takes starting its fleet as well/,
    );
    const [file, updates] = [await fixture.fileText(), await fixture.updates()];
    const run = await fixture.dev("decommission", "r1");
    assert.equal(run.code, 0, run.stderr + run.stdout);
    assert.equal(await fixture.fileText(), file.replaceAll(`back: ${r1}`, "back: none"));
    assert.equal(await fixture.updates(), updates + 1);
    assert.match((await fixture.dev("decommission", "r1")).stderr, /r1 is no fleet kept for the way back in dev/);
  });

  it("has nothing to say to a release that a wave runs on", async () => {
    assert.match((await fixture.dev("decommission", "r2")).stderr, /allowed: vault, canary, general$/m);
  });
});
