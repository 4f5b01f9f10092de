import assert from "node:assert/strict";
import type { EvidenceEntry } from "../../coordinator/evidence/evidence-entry.ts";
import { CommandFixture, r1, r2 } from "./command-fixture.ts";

/** What a person may forbid by hand, on one stack with a real registry. */
describe("holds and rescissions by hand", function () {
  this.timeout(120_000);
  let fixture: CommandFixture;

  before(async () => {
    fixture = await CommandFixture.open();
  });
  after(() => fixture.close());

  it("need a registry to write to", async () => {
    for (const words of [["hold", "--why", "audit"], ["unhold"], ["rescind", r2, "--why", "broken"]] as const) {
      const run = await fixture.dev(words[0], ...words.slice(1));
      assert.equal(run.code, 1, run.stdout);
      assert.match(run.stderr, /environment dev has no registry yet.*pulumi up -s dev/);
    }
    assert.equal((await fixture.dev("tenant", "onboard", "cmd-acme", "--tags", "canary")).code, 0);
  });

  it("refuse a plain update while they stand, and let it go afterwards", async () => {
    const held = await fixture.dev("hold", "--why", "audit until friday", "--json");
    assert.equal(held.code, 0, held.stderr);
    const { id } = JSON.parse(held.stdout).hold;
    const refused = await fixture.dev("promote", "r1", "--keep-holds", "--json");
    assert.equal(refused.code, 2);
    assert.match(refused.stdout, /dev is held since .* \(ana: audit until friday\)/);
    await assert.rejects(fixture.stack.pulumi("preview", "-s", "dev"), /dev is held \(by ana: audit until friday\)/);

    const wrong = await fixture.dev("unhold", "--id", "999");
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, new RegExp(`no hold 999 in dev; in force are ${id}`));
    const ended = await fixture.dev("unhold", "--id", String(id));
    assert.match(ended.stdout, /ended: dev is held .*audit until friday/);
    assert.match((await fixture.dev("unhold")).stdout, /nothing was held/);
    await fixture.stack.pulumi("preview", "-s", "dev");
  });

  it("hold one wave or one release, and name what exists for what does not", async () => {
    const run = await fixture.dev("hold", "--wave", "canary", "--pin", r2, "--why", "incident 12");
    assert.match(run.stdout, new RegExp(`dev, wave canary, is held \\(\\d+\\): ${r2.slice(3)} is forbidden`));
    const again = await fixture.dev("hold", "--wave", "canary", "--pin", r2, "--why", "incident 13");
    assert.match(again.stdout, /ana: incident 12/);
    assert.equal((await fixture.registry.holds.inForce("dev")).length, 1);
    assert.match((await fixture.dev("hold", "--wave", "late", "--why", "x")).stderr, /allowed: canary, general/);
    assert.match((await fixture.dev("hold", "--pin", "r2@000000000000", "--why", "x")).stderr, new RegExp(r2));
    assert.match((await fixture.dev("hold", "--why", " ")).stderr, /--why is blank/);
    assert.equal((await fixture.dev("hold")).code, 1);
    assert.match((await fixture.dev("unhold", "--wave", "canary")).stdout, /ended: dev, wave canary/);
  });

  it("rescind one content for ever: the first reason stands, and what it means here is said", async () => {
    const byId = await fixture.dev("rescind", "r2", "--why", "broken");
    assert.equal(byId.code, 1);
    assert.match(byId.stderr, new RegExp(`this checkout holds ${r2}`));
    assert.match((await fixture.dev("rescind", "r2@nothex", "--why", "broken")).stderr, /is no pin/);

    const run = await fixture.dev("rescind", r1, "--why", "leaks titles", "--json");
    assert.equal(run.code, 0, run.stderr);
    const told = JSON.parse(run.stdout);
    assert.equal(told.isNew, true);
    assert.deepEqual([told.rescinded.who, told.rescinded.why], ["ana", "leaks titles"]);
    assert.match(told.consequences[0], /dev pins it for canary, general.*coordinator rollback dev/);
    const again = await fixture.dev("rescind", r1, "--why", "another reason");
    assert.match(again.stdout, /was rescinded before: leaks titles \(ana\); that stands/);
    assert.deepEqual(
      (await fixture.registry.records.listRescinded()).map(({ hash }) => hash),
      [r1.slice(3)],
    );
  });

  it("stand in the evidence with who and why, and move nobody there", async () => {
    const { stdout, code } = await fixture.dev("evidence", "--json");
    assert.equal(code, 0, stdout);
    const { entries } = JSON.parse(stdout) as { entries: EvidenceEntry[] };
    assert.deepEqual(
      entries.map(({ act }) => act),
      ["onboarding", "hold", "unhold", "hold", "hold", "unhold", "rescission"],
    );
    for (const { who, outcome, from, to } of entries) {
      assert.deepEqual([who, outcome], ["ana", "go"]);
      assert.deepEqual(from, to);
    }
    assert.match(entries[1]?.notes.join() ?? "", /every update is refused since .* \(ana: audit until friday\)/);
    assert.match(entries.at(-1)?.notes.join() ?? "", new RegExp(`${r1} is rescinded: leaks titles`));
    assert.match((await fixture.dev("evidence")).stdout, /rescission.*leaks titles/);
  });

  it("are placed also when the backend does not answer, and that is said", async () => {
    fixture.stack.setVariables({ PULUMI_BACKEND_URL: "postgres://nobody@127.0.0.1:9/nothing" });
    const run = await fixture.dev("hold", "--why", "incident 14");
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stderr, /warning: the evidence could not be written: .*127\.0\.0\.1:9/);
    assert.equal((await fixture.registry.holds.inForce("dev")).length, 1);
  });
});
