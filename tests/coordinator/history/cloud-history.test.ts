import assert from "node:assert/strict";
import { CommandFixture, r1, r2 } from "../command-fixture.ts";
import { PulumiCloud } from "./pulumi-cloud.ts";
import type { CloudUpdate } from "./pulumi-cloud.ts";

const pins = (now: string, back: string) => ({
  name: "dev",
  pins: { canary: { now, back }, general: { now, back } },
});
const updates: readonly CloudUpdate[] = [
  { environment: pins(r2, r1), message: `promote ${r2}`, result: "succeeded", gitHead: "a".repeat(40) },
  { environment: pins(r2, r1), message: `promote ${r2}`, result: "failed" },
  { environment: pins(r1, "none"), message: `promote ${r1}`, result: "succeeded" },
];

/** The real CLI and a server of our own that answers as Pulumi Cloud's documentation says; no account and no network. */
describe("history on Pulumi Cloud", function () {
  this.timeout(240_000);
  let fixture: CommandFixture;
  let cloud: PulumiCloud;

  before(async () => {
    cloud = await PulumiCloud.start(updates);
    fixture = await CommandFixture.open();
    await fixture.dev("tenant", "onboard", "cmd-acme", "--tags", "canary");
    fixture.stack.setVariables(cloud.variables);
  });
  after(async () => {
    await fixture.close();
    await cloud.stop();
  });

  it("is read newest first, with what each update pinned", async () => {
    const { code, stdout, stderr } = await fixture.dev("history", "--json");
    assert.equal(code, 0, `${stderr}${stdout}\n${cloud.asked.join("\n")}`);
    const { entries } = JSON.parse(stdout) as {
      entries: { message: string; result: string; pins: string; gitHead: string | null }[];
    };
    assert.deepEqual(
      entries.map(({ message, result, pins: shown }) => [message, result, shown]),
      updates.map(({ message, result }) => [message, result, message.split(" ")[1]]),
    );
    assert.equal(entries[0]?.gitHead, "a".repeat(40));
  });

  it("refuses a rollback to what never ran there, and says where evidence is kept, without changing anything", async () => {
    const before = await fixture.fileText();
    const unknown = await fixture.stack.coordinator("rollback", "dev", "--to", "r9", "--json");
    assert.equal(unknown.code, 2, unknown.stderr);
    assert.match(unknown.stdout, new RegExp(`r9 never ran here; allowed: .*${r1}`));
    const evidence = await fixture.dev("evidence", "--json");
    assert.equal(evidence.code, 1);
    assert.match(evidence.stdout, /evidence is kept on file:\/\/, s3:\/\/ and postgres:\/\//);
    assert.equal(await fixture.fileText(), before);
    assert.deepEqual(
      cloud.asked.filter((line) => !line.startsWith("GET ")),
      [],
      "nothing was written",
    );
  });
});
