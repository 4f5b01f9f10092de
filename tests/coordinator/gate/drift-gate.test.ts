import assert from "node:assert/strict";
import { parse } from "yaml";
import { driftGate } from "../../../coordinator/gate/drift-gate.ts";
import { StackEvents } from "../../../coordinator/stack-events.ts";
import { parseEnvironment } from "../../../releases/environment.ts";
import { CommandFixture } from "../command-fixture.ts";

async function environmentOf(fixture: CommandFixture): Promise<object> {
  const { config } = parse(await fixture.fileText()) as { config: Record<string, object> };
  return config["release-coordinator:environment"] ?? {};
}

/** Real refreshes by the real Pulumi; the test program's own provider says what somebody changed by hand. */
describe("the gate of drift", function () {
  this.timeout(300_000);
  this.bail(true);
  let fixture: CommandFixture;
  const readable = { "platform-roles": "one" };
  const check = async () => {
    const run = await fixture.dev("check", "r2", "--json");
    const { gates } = JSON.parse(run.stdout) as { gates: { id: string; outcome: string; evidence: string }[] };
    return gates.find(({ id }) => id === "drift");
  };

  before(async () => {
    fixture = await CommandFixture.open();
    fixture.world.members["general"] = [];
    fixture.stack.turn({ readable });
    fixture.stack.turn({ readable });
    await fixture.dev("tenant", "onboard", "cmd-acme", "--tags", "canary");
    const run = await fixture.dev("promote", "r1");
    assert.equal(run.code, 0, run.stdout + run.stderr);
  });
  after(() => fixture.close());

  it("is not asked where the stack file does not ask", async () => {
    assert.equal(await check(), undefined);
    await fixture.stack.writeStackFile(`${await fixture.fileText()}    drift: ask\n`);
  });

  it("is open while the world is as the last update left it", async () => {
    assert.equal((await check())?.outcome, "go");
  });

  it("leaves waves, tenants and flags to their ledgers, and names ten of many others", async () => {
    const environment = parseEnvironment({ ...(await environmentOf(fixture)), drift: "ask" });
    const events = new StackEvents("update", () => undefined);
    const look = { previewRefresh: async () => ({ events, failure: undefined, cause: undefined, seconds: 1 }) };
    const change = (part: string, name: string) => ({
      urn: `urn::${name}`,
      name,
      type: "Thing",
      path: ["Platform", part, "Thing"],
      op: "update",
      diffs: ["size"],
      properties: [],
    });
    for (const part of ["Wave", "Tenants", "Guard", "Flags"]) events.changes.push(change(part, part));
    assert.equal((await driftGate(environment, look))[0]?.outcome, "go");
    for (let nth = 0; nth < 12; nth++) events.changes.push(change("Database", `role-${nth}`));
    const [found] = await driftGate(environment, look);
    assert.equal(found?.outcome, "needs-human");
    assert.match(
      found?.evidence ?? "",
      /^Thing role-0 differs in size; .*Thing role-9 differs in size and 2 more; put it back/,
    );
  });

  it("names what somebody changed or removed, and a person decides with a reason that is kept", async () => {
    fixture.stack.turn({ readable, drifted: { "platform-roles": null } });
    assert.match((await check())?.evidence ?? "", /platform-roles is gone; put it back, or take it over/);
    fixture.stack.turn({ readable, drifted: { "platform-roles": "two" } });
    const before = await fixture.fileText();
    const refused = await fixture.dev("promote", "r2", "--json");
    assert.equal(refused.code, 3, refused.stdout + refused.stderr);
    assert.match(refused.stdout, /platform-roles differs; put it back.*decide: --override drift=/);
    assert.equal(await fixture.fileText(), before);
    const dry = await fixture.dev("promote", "r2", "--dry-run", "--override", "drift=incident 12");
    assert.equal(dry.code, 0, dry.stdout);
    assert.match(dry.stdout, /drift: .*overridden by ana: incident 12/);
  });

  it("is a person's to decide when nobody could look", async () => {
    fixture.stack.setVariables({ PULUMI_CONFIG_PASSPHRASE: "wrong" });
    const found = await check();
    assert.equal(found?.outcome, "needs-human");
    assert.match(found?.evidence ?? "", /nobody could look: .*passphrase/i);
  });
});
