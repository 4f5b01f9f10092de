import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Registry } from "../../migrations/registry/registry.ts";
import { databaseUrl } from "../servers.ts";
import { CommandFixture, r1, r2 } from "./command-fixture.ts";
import type { CommandWorld } from "./command-world.ts";
import type { TemporaryStack } from "./temporary-stack.ts";

/** The commands in the order in which a release manager meets them, on one stack with a real registry and a real Vault. */
describe("the coordinator's commands", function () {
  this.timeout(180_000);
  this.bail(true);
  let stack: TemporaryStack;
  let registry: Registry;
  let world: CommandWorld;
  let fixture: CommandFixture;
  const dev = (command: string, ...rest: string[]) => fixture.dev(command, ...rest);
  const fileText = () => fixture.fileText();
  const updates = () => fixture.updates();

  before(async () => {
    fixture = await CommandFixture.open();
    ({ stack, registry, world } = fixture);
  });
  after(() => fixture.close());

  it("onboards tenants at the release of their wave", async () => {
    const first = await dev("tenant", "onboard", "cmd-acme", "--tags", "canary");
    assert.equal(first.code, 0, first.stderr + first.stdout);
    assert.match(first.stdout, new RegExp(`cmd-acme: done \\(wave canary, ${r1}\\)`));
    const second = await dev("tenant", "onboard", "cmd-cobalt", "--json");
    assert.equal(JSON.parse(second.stdout).tenants[0].wave, "general");
    assert.match((await dev("tenant", "onboard", "cmd-acme")).stdout, /cmd-acme: unchanged/);
  });

  it("applies and verifies a release that is pinned already", async () => {
    const run = await dev("promote", "r1", "--json");
    assert.equal(run.code, 0, run.stderr + run.stdout);
    const shown = JSON.parse(run.stdout);
    assert.deepEqual(
      shown.verification.map((each: { pin: string; isVerified: boolean }) => [each.pin, each.isVerified]),
      [[r1, true]],
    );
    assert.equal((await registry.records.listVerifications("dev")).length, 1);
  });

  it("refuses a release that does not follow, and one whose blocker stands, without touching file or stack", async () => {
    const before = await fileText();
    const history = await updates();
    const far = await dev("promote", "r3");
    assert.equal(far.code, 2, far.stderr + far.stdout);
    assert.match(far.stdout, /no-go: .*r3/s);

    const client = new pg.Client({ connectionString: databaseUrl("tenant_cmd_acme") });
    await client.connect();
    await client.query("INSERT INTO prompts (title) VALUES ('only a title')");
    const blocked = await dev("promote", "r2", "--json");
    await client.query("DELETE FROM prompts");
    await client.end();
    assert.equal(blocked.code, 2);
    assert.match(blocked.stdout, /1 rows have no payload in the database: cmd-acme \(1\)/);

    assert.equal(await fileText(), before);
    assert.equal(await updates(), history);
  });

  it("is refused by a hold in the preview when it may not lift it, and leaves the hold in force", async () => {
    const before = await fileText();
    await registry.holds.place({ environment: "dev", hashes: [r2.slice(3)], who: "ben", why: "incident 12" });
    const run = await dev("promote", "r2", "--keep-holds");
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stdout, /held since .* \(ben: incident 12\)/);
    const dry = await dev("promote", "r2", "--dry-run");
    assert.equal(dry.code, 2, dry.stderr);
    assert.match(dry.stdout, /dev is held \(by ben: incident 12\)/);
    assert.equal((await registry.holds.inForce("dev")).length, 1);
    assert.equal(await fileText(), before);
  });

  it("promotes: lifts the hold by name, pins with the way back, keeps comments, verifies and records", async () => {
    const before = await fileText();
    const run = await dev("promote", "r2");
    assert.equal(run.code, 0, run.stderr + run.stdout);
    assert.match(run.stderr, /lifting the hold: .*ben: incident 12/);
    assert.match(run.stdout, new RegExp(`dev runs ${r2}`));
    const expected = before
      .replaceAll(`now: ${r1}, back: none`, `now: ${r2}, back: ${r1}`)
      .replace("vault: false", "vault: true");
    assert.equal(await fileText(), expected);
    assert.deepEqual(await registry.holds.inForce("dev"), []);
    const [record] = await registry.records.listPromotions("dev");
    assert.deepEqual(
      [record?.kind, record?.fromPin, record?.toPin, record?.who, record?.reviewed],
      ["promotion", r1, r2, "ana", false],
    );
    assert.equal((await registry.records.findVerification("dev", r2.slice(3)))?.release, "r2");
    const history = JSON.parse((await dev("history", "--json")).stdout);
    assert.deepEqual([history.entries[0].message, history.entries[0].pins], [`promote ${r2}`, r2]);
    assert.match(await stack.pulumi("stack", "tag", "ls"), new RegExp(`release\\s+${r2}`));
  });

  it("shows where everything is and answers whether it can go back", async () => {
    const status = await dev("status");
    assert.equal(status.code, 0, status.stderr);
    assert.match(status.stdout, /prompt-encryption switched \(1\)/);
    assert.match(status.stdout, /canary: back from r2@\w+ to r1@\w+: yes, about 1 s; once finalized a rebuild/);
    const diff = await dev("diff");
    assert.equal(diff.code, 0, diff.stderr);
    assert.match(diff.stdout, /no wave changes its pin/);
    assert.match(diff.stdout, /no resource changes/);
    assert.match(diff.stdout, /approval digest: [0-9a-f]{16}/);
    const exact = await dev("diff", "--exact", "--no-preview", "--json");
    assert.equal(exact.code, 0, exact.stderr);
    assert.deepEqual(
      JSON.parse(exact.stdout).positions.map((each: { position: string }) => each.position),
      [],
    );
  });

  it("says before a rollback what it would and would not restore, and changes nothing", async () => {
    const before = await fileText();
    const dry = await stack.coordinator("rollback", "dev", "--dry-run");
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(dry.stdout, new RegExp(`yes: ${r2} -> ${r1}`));
    assert.match(
      dry.stdout,
      /the source is authoritative again for 2 tenants, every write made since included \(40 still to drain\)/,
    );
    assert.match(dry.stdout, /not restored:\n.*the schema keeps what r2 added/s);
    assert.equal(await fileText(), before);
    assert.deepEqual(await registry.holds.inForce("dev"), []);
  });

  it("refuses a rollback whose preview touches more than fleets, waves and flags, and takes its hold back", async () => {
    const before = await fileText();
    stack.turn({ extra: { stranger: "1" } });
    const run = await stack.coordinator("rollback", "dev");
    stack.turn({});
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stdout, /create \w+ stranger would come along/);
    assert.equal(await fileText(), before);
    assert.deepEqual(await registry.holds.inForce("dev"), []);
  });

  it("tells the truth when the update fails half way, and goes on when it is run again", async () => {
    world.failing.add("general");
    const run = await stack.coordinator("rollback", "dev", "--reason", "error rate");
    assert.equal(run.code, 1, run.stdout);
    assert.match(run.stderr, /the disk of wave general is full/);
    assert.match(run.stderr, new RegExp(`canary: 1 tenants, 1 on ${r1}`));
    assert.match(run.stderr, new RegExp(`general: 1 tenants, 1 on ${r2}`));
    assert.match(await fileText(), new RegExp(`canary: \\{ now: ${r1}, back: ${r2} \\} # watched by ana`));
    world.failing.clear();

    const again = await stack.coordinator("rollback", "dev", "--reason", "error rate");
    assert.equal(again.code, 0, again.stderr + again.stdout);
    assert.match(again.stdout, new RegExp(`dev is back on ${r1}`));
    assert.match(await fileText(), new RegExp(`general: \\{ now: ${r1}, back: ${r2} \\}`));
    const [hold] = await registry.holds.inForce("dev");
    assert.deepEqual([hold?.hashes, hold?.who, hold?.why], [[r2.slice(3)], "ana", "rollback: error rate"]);
  });

  it("holds the abandoned release against a plain update, until somebody promotes it again", async () => {
    const text = await fileText();
    await writeFile(stack.stackFile, text.replaceAll(`now: ${r1}, back: ${r2}`, `now: ${r2}, back: ${r1}`));
    await assert.rejects(stack.pulumi("preview"), /dev is held \(by ana: rollback: error rate\)/);
    await writeFile(stack.stackFile, text);
    const run = await dev("promote", "r2");
    assert.equal(run.code, 0, run.stderr + run.stdout);
    assert.deepEqual(await registry.holds.inForce("dev"), []);
  });

  it("finalizes by name, and from then on going back is a rebuild that rollback takes out of the file again", async () => {
    world.finalized = true;
    const dry = await dev("finalize", "prompt-encryption", "--dry-run");
    assert.match(dry.stdout, /afterwards it is a rebuild of every row, about 3 s/);
    const run = await dev("finalize", "prompt-encryption", "--wave", "canary");
    assert.equal(run.code, 0, run.stderr + run.stdout);
    assert.match(await fileText(), /finalize: \{ canary: \[prompt-encryption\] \}/);
    assert.match(run.stdout, /retired for 1 tenant: the source of 1000 rows is rebuilt/);
    world.finalized = false;
    const back = await stack.coordinator("rollback", "dev");
    assert.equal(back.code, 0, back.stderr + back.stdout);
    assert.doesNotMatch(await fileText(), /finalize/);
    assert.match(back.stdout, /^\+ +canary: \{ now: r1@/m, "the patch for Git");
  });

  it("asks a human when a rebuild was never measured", async () => {
    assert.equal((await dev("promote", "r2")).code, 0);
    await registry.transaction(async () => {
      const client = new pg.Client({ connectionString: databaseUrl("rc_registry") });
      await client.connect();
      await client.query("UPDATE registry.tenant_state SET position = 'retired', rate_rows_per_s = NULL");
      await client.end();
    });
    const run = await stack.coordinator("rollback", "dev");
    assert.equal(run.code, 3, run.stderr);
    assert.match(run.stdout, /no rate was measured/);
    assert.match(await fileText(), new RegExp(`now: ${r2}`));
    await world.project("switched", { rows: 1000, dirty: 0, rate: 500 });
  });

  it("removes the lock of a dead update and goes back", async () => {
    stack.turn({ slowSeconds: 60 });
    const dead = spawn("pulumi", ["up", "--yes", "--skip-preview", "--non-interactive"], {
      cwd: stack.program,
      env: stack.variables,
      stdio: "ignore",
      detached: true,
    });
    const locks = async () =>
      (await readdir(stack.lockFolder).catch(() => [])).filter((name) => name.endsWith(".json"));
    for (let tries = 0; tries < 300 && (await locks()).length === 0; tries++) await sleep(100);
    assert.equal((await locks()).length, 1);
    process.kill(-(dead.pid ?? 0), "SIGKILL");
    await once(dead, "exit");
    stack.turn({});

    const run = await stack.coordinator("rollback", "dev");
    assert.equal(run.code, 0, run.stderr + run.stdout);
    assert.match(run.stderr, /which is dead: removing the lock/);
    assert.deepEqual(await locks(), []);
  });

  it("never goes back to a rescinded release", async () => {
    assert.equal((await dev("promote", "r2")).code, 0);
    await registry.records.rescind({ hash: r1.slice(3), who: "ana", why: "leaks tokens" });
    const run = await stack.coordinator("rollback", "dev");
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stdout, new RegExp(`${r1} is rescinded: leaks tokens \\(ana\\)`));
  });

  it("takes tenants out of service and back", async () => {
    const on = await stack.coordinator("maintenance", "dev", "on", "--tenant", "cmd-acme");
    assert.equal(on.code, 0, on.stderr);
    assert.match(on.stdout, /in maintenance: cmd-acme/);
    assert.match((await dev("status")).stdout, /in maintenance: cmd-acme/);
    assert.match((await stack.coordinator("maintenance", "dev", "off")).stdout, /back in service: cmd-acme/);
    const unknown = await stack.coordinator("maintenance", "dev", "on", "--tenant", "nobody");
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /nobody: not in dev/);
  });

  it("lints every stack file with all faults at once", async () => {
    assert.equal((await stack.coordinator("lint")).code, 0);
    const text = await fileText();
    await writeFile(
      stack.stackFile,
      text.replace("runtime: docker", "runtime: podman").replace(`now: ${r2}`, "now: r2"),
    );
    const run = await stack.coordinator("lint", "--json");
    await writeFile(stack.stackFile, text);
    assert.equal(run.code, 1);
    const faults = JSON.parse(run.stdout).faults[0].faults.map((fault: { path: string }) => fault.path);
    assert.ok(faults.includes("runtime") && faults.includes("pins.canary.now"), run.stdout);
  });

  it("teaches with an example in every command's help", async () => {
    for (const words of [
      "status",
      "diff",
      "check",
      "promote",
      "rollback",
      "finalize",
      "verify",
      "history",
      "tenant onboard",
      "maintenance",
      "lint",
    ]) {
      const help = await stack.coordinator(...words.split(" "), "--help");
      assert.equal(help.code, 0);
      assert.match(help.stdout, new RegExp(`Examples?:\\n\\s+coordinator ${words}`), words);
    }
  });
});
