import assert from "node:assert/strict";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import pg from "pg";
import { databaseUrl } from "../../servers.ts";
import { CommandFixture, r1, r2 } from "../command-fixture.ts";

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

  it("asks for the digest that report and diff show, whether the pin is merged or promote writes it", async () => {
    const { stack } = fixture;
    const before = await fixture.fileText();
    const wished = (text: string) => text.replaceAll(`now: ${r1}, back: none`, `now: ${r2}, back: ${r1}`);
    const asked = async () => {
      const { code, stdout } = await fixture.dev("promote", "r2", "--json");
      assert.equal(code, 3, stdout);
      return /--digest ([0-9a-f]{16})/.exec(stdout)?.[1];
    };
    const written = await asked();
    assert.equal(await fixture.fileText(), before);
    await stack.writeStackFile(wished(before).replace("vault: false", "vault: true"));
    const reported = JSON.parse((await stack.coordinator("report", "--env", "dev", "--json")).stdout).stacks[0];
    const shown = JSON.parse((await fixture.dev("diff", "--json")).stdout) as { digest: string };
    assert.deepEqual(
      [await asked(), reported.digest, shown.digest, /--digest (\w+)/.exec(reported.approval.command)?.[1]],
      [written, written, written, written],
    );
    await stack.writeStackFile(before);
    const wish = JSON.parse((await fixture.dev("diff", "r2", "--json")).stdout) as { digest: string };
    assert.equal(wish.digest, written);
  });

  it("judges a merged pin by what ran last, so that the rules are not passed by", async () => {
    const before = await fixture.fileText();
    const client = new pg.Client({ connectionString: databaseUrl("tenant_cmd_acme") });
    await client.connect();
    await client.query("INSERT INTO prompts (title) VALUES ('only a title')");
    await fixture.stack.writeStackFile(
      before.replaceAll(`now: ${r1}, back: none`, `now: ${r2}, back: ${r1}`).replace("vault: false", "vault: true"),
    );
    const run = await fixture.dev("promote", "r2");
    await client.query("DELETE FROM prompts");
    await client.end();
    await fixture.stack.writeStackFile(before);
    assert.equal(run.code, 2, run.stdout + run.stderr);
    assert.match(run.stdout, /1 rows have no payload in the database: cmd-acme \(1\)/);
  });

  it("asks people to sign what no command proves, in this environment and for this content", async () => {
    const { stack } = fixture;
    const before = await fixture.fileText();
    await stack.writeStackFile(`${before}      checklist: { minimum: 1, roles: [security] }\n`);
    const refused = await fixture.dev("promote", "r2", "--json");
    assert.equal(refused.code, 3, refused.stdout + refused.stderr);
    const { reasons } = JSON.parse(refused.stdout) as { reasons: string[] };
    const commands = reasons.flatMap(
      (reason) => /to sign: coordinator sign r2 ([a-z-]+) --env dev/.exec(reason)?.[1] ?? [],
    );
    assert.deepEqual(commands, ["security-review", "preview", "there-and-back"]);
    for (const item of commands) {
      const signer = ["--role", "security", "--key", join(stack.folder, "ben.key"), "--as", "ben"];
      assert.equal((await fixture.dev("sign", "r2", item, ...signer)).code, 0);
    }
    const dry = await fixture.dev("promote", "r2", "--dry-run");
    assert.equal(dry.code, 0, dry.stdout);
    assert.match(dry.stdout, /signed:there-and-back: ben \(security\) signed at/);
    const status = JSON.parse((await fixture.dev("status", "--json")).stdout) as { next: { gates: { id: string }[] } };
    assert.ok(status.next.gates.some(({ id }) => id === "signed:preview"));
    await stack.writeStackFile(before);
  });

  it("asks the quorum of finalize before the old side is dropped, and keeps who agreed", async () => {
    const { stack, registry, world } = fixture;
    const key = join(stack.folder, "ben.key");
    const program = stack.program;
    const digestOf = (text: string) => /--digest ([0-9a-f]{16})/.exec(text)?.[1] ?? "";
    const waiting = await fixture.dev("promote", "r2");
    const sign = (asked: string, rows: string) => {
      const size = ["--rows", rows, "--tenants", "9", "--role", "security", "--key", key, "--as", "ben"];
      return fixture.dev("approve", "r2", "--digest", digestOf(asked), ...size);
    };
    assert.equal((await sign(waiting.stdout, "0")).code, 0);
    world.failing.add("general");
    const broken = await fixture.dev("promote", "r2");
    assert.equal(broken.code, 1, broken.stdout);
    world.failing.delete("general");
    // What is left of an approved change needs no approval of its own.
    const rest = await fixture.dev("promote", "r2", "--approved", digestOf(waiting.stdout));
    assert.equal(rest.code, 0, rest.stdout + rest.stderr);
    const [kept] = await registry.records.listPromotions("dev");
    assert.deepEqual([kept?.reviewed, kept?.detail["digest"]], [true, digestOf(waiting.stdout)]);
    const file = await fixture.fileText();
    await stack.writeStackFile(
      file.replace("finalize: { minimum: 0, roles: [] }", "finalize: { minimum: 1, roles: [security] }"),
    );
    const before = await fixture.fileText();
    const refused = await fixture.dev("finalize", "prompt-encryption");
    assert.equal(refused.code, 3, refused.stdout + refused.stderr);
    assert.match(refused.stdout, /1 people must approve [0-9a-f]{16}, 0 did/);
    assert.equal(await fixture.fileText(), before);
    const dry = JSON.parse((await fixture.dev("finalize", "prompt-encryption", "--dry-run", "--json")).stdout);
    assert.equal(dry.digest, digestOf(refused.stdout), "what a dry run shows is what is asked");
    assert.equal((await sign(refused.stdout, "999999")).code, 0);
    world.finalized = true;
    const run = await fixture.dev("finalize", "prompt-encryption", "--approved", dry.digest);
    assert.equal(run.code, 0, run.stdout + run.stderr);
    const [record] = await registry.records.listPromotions("dev");
    assert.deepEqual([record?.kind, record?.reviewed, record?.detail["digest"]], ["finalize", true, dry.digest]);
    assert.ok((await readdir(join(program, "approvals", "dev"))).includes(dry.digest));
  });
});
