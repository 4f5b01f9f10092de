import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { CommandFixture } from "../command-fixture.ts";

/** A promotion where the stack file asks for an approval. */
describe("a promotion that needs approvals", function () {
  this.timeout(300_000);
  this.bail(true);
  let fixture: CommandFixture;
  let digest = "";

  before(async () => {
    fixture = await CommandFixture.open();
    const asked =
      "    approvals:\n      promotion: { minimum: 1, roles: [security] }\n      finalize: { minimum: 0, roles: [] }\n";
    await fixture.stack.writeStackFile((await fixture.fileText()) + asked);
    await fixture.dev("tenant", "onboard", "cmd-acme", "--tags", "canary");
    await fixture.dev("tenant", "onboard", "cmd-cobalt");
  });
  after(() => fixture.close());

  it("waits for them, names who is missing and the command, and changes nothing", async () => {
    const before = await fixture.fileText();
    const run = await fixture.dev("promote", "r1", "--json");
    assert.equal(run.code, 3, run.stdout + run.stderr);
    const { reasons } = JSON.parse(run.stdout) as { reasons: string[] };
    assert.match(
      reasons.join("\n"),
      /1 people must approve [0-9a-f]{16}, 0 did\nnobody approved as security\nto approve: coordinator approve r1 --env dev --digest/,
    );
    digest = /--digest ([0-9a-f]{16})/.exec(reasons.join())?.[1] ?? "";
    assert.equal(await fixture.fileText(), before);
    assert.deepEqual(await fixture.registry.records.listPromotions("dev"), []);
  });

  it("goes once somebody else has signed what is previewed, and keeps who did", async () => {
    const { program } = fixture.stack;
    const key = join(fixture.stack.folder, "ben.key");
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "ben", "-f", key]);
    await mkdir(join(program, "approvals"));
    await writeFile(
      join(program, "approvals/allowed-signers"),
      `ana,ben,security ${await readFile(`${key}.pub`, "utf8")}`,
    );
    const size = ["--digest", digest, "--rows", "0", "--tenants", "0", "--role", "security", "--key", key];
    assert.equal((await fixture.dev("approve", "r1", ...size, "--as", "ana")).code, 0);
    const own = await fixture.dev("promote", "r1");
    assert.equal(own.code, 3);
    assert.match(own.stdout, /approval of ana does not count: nobody approves their own change/);
    assert.equal((await fixture.dev("approve", "r1", ...size, "--as", "ben")).code, 0);
    const run = await fixture.dev("promote", "r1");
    assert.equal(run.code, 0, run.stdout + run.stderr);
    const [record] = await fixture.registry.records.listPromotions("dev");
    assert.equal(record?.reviewed, true);
    assert.deepEqual(
      (record?.detail["approvedBy"] as { who: string }[]).map(({ who }) => who),
      ["ben"],
    );
  });
});
