import assert from "node:assert/strict";
import { percentileOf } from "../../migrations/registry/selector.ts";
import { r1, r2 } from "./command-fixture.ts";
import { DecommissionFixture } from "./decommission-fixture.ts";

/** Parts and waves leave a real stack: the real Pulumi, the real Vault, the waves' real nodes, tenants with ledgers. */
describe("coordinator decommission", function () {
  this.timeout(240_000);
  this.bail(true);
  let fixture: DecommissionFixture;
  const databases = ["tenant_cmd_acme", "tenant_cmd_cobalt"];
  const dev = (...words: string[]) => fixture.commands.dev("decommission", ...words);

  /** Runs it and proves that file, state, Vault and databases are as before. */
  const refused = async (code: number, told: RegExp, ...words: string[]) => {
    const before = await fixture.world(databases);
    const run = await dev(...words);
    assert.equal(run.code, code, run.stdout + run.stderr);
    assert.match(run.stdout + run.stderr, told);
    assert.deepEqual(await fixture.world(databases), before);
  };

  before(async () => {
    fixture = await DecommissionFixture.open();
    await fixture.writeStackFile();
  });
  after(() => fixture.close());

  it("refuses while there is no registry to ask", async () => {
    const run = await dev("early");
    assert.equal(run.code, 1);
    assert.match(run.stderr, /environment dev has no registry yet/);
  });

  it("names what could go for what is not there", async () => {
    const { commands } = fixture;
    assert.equal((await commands.dev("tenant", "onboard", "cmd-acme", "--tags", "canary")).code, 0);
    assert.equal((await commands.dev("tenant", "onboard", "cmd-cobalt")).code, 0);
    await commands.stack.pulumi("up", "--yes", "--skip-preview", "-s", "dev");
    assert.ok((await fixture.mounts()).includes("transit-dev/"));
    await refused(1, /late is nothing in dev; allowed: vault, canary, early, general/, "late");
    await refused(1, /r2 is no fleet kept for the way back in dev/, "r2");
    await refused(1, /milvus is not present in dev/, "milvus");
  });

  it("refuses a wave that tenants match, and the one that takes the rest", async () => {
    await refused(2, /wave canary has 1 tenant \(cmd-acme\).*nothing was changed/s, "canary");
    await refused(2, /without general, waves is .*a last wave with the selector rest: true/, "general");
  });

  it("counts tenants in maintenance and those being onboarded as members", async () => {
    const { tenants } = fixture.commands.registry;
    for (const status of ["suspended", "onboarding"] as const) {
      await tenants.setStatus("active", status, { ids: ["cmd-acme"] });
      await refused(2, /wave canary has 1 tenant \(cmd-acme\)/, "canary");
      await tenants.setStatus(status, "active", { ids: ["cmd-acme"] });
    }
  });

  it("refuses a wave without which tenants would change to another one", async () => {
    const [least = 0] = ["cmd-acme", "cmd-cobalt"].map(percentileOf).sort((a, b) => a - b);
    // Nobody is in the first half of the way to the first tenant; early's slice begins behind it and just holds that tenant.
    const [empty, slice] = [least / 2, least / 2 + 0.001].map((share) => share.toFixed(4));
    await fixture.writeStackFile((text) =>
      text
        .replace("selector: { tags: [canary] }", `selector: { percentage: ${empty} }`)
        .replace("selector: { tags: [early] }", `selector: { percentage: ${slice} }`),
    );
    await refused(
      2,
      /without canary 1 tenants fall into another wave, e\.g\. cmd-\w+ into general instead of early/,
      "canary",
    );
    await fixture.writeStackFile();
  });

  it("takes a wave out in two updates that change nothing else", async () => {
    const dry = await dev("early", "--dry-run");
    assert.match(dry.stdout, /nobody in dev needs early; it could go, in two updates/);
    const before = await fixture.commands.fileText();
    const updates = await fixture.commands.updates();
    assert.ok((await fixture.resources()).includes("early-cutover*"));
    const run = await dev("early", "--json");
    assert.equal(run.code, 0, run.stdout + run.stderr);
    assert.equal(await fixture.commands.updates(), updates + 2);
    const resources = await fixture.resources();
    assert.deepEqual(
      resources.filter((name) => name.startsWith("early")),
      [],
    );
    assert.ok(resources.includes("canary-cutover*") && resources.includes("local-transit*"));
    assert.equal(
      await fixture.commands.fileText(),
      before.replace(/.*name: early.*\n/, "").replace(/ {6}early: .*\n/, ""),
    );
    assert.match(JSON.parse(run.stdout).patch, /^-.*name: early/m);
  });

  it("refuses Vault while the projection, one ledger or a keyset speaks against it", async () => {
    const { registry } = fixture.commands;
    const asOf = new Date();
    const state = { tenant: "cmd-acme", mirror: "prompt-encryption", rows: 3, bytes: 9, dirty: 0, asOf };
    await registry.projection.record([{ ...state, position: "mirroring", epoch: 1 }]);
    await refused(2, /by the registry's projection prompt-encryption is not off: 1 tenant \(cmd-acme\)/, "vault");
    await registry.projection.record([{ ...state, position: "off", epoch: 2 }]);

    await fixture.tenant(
      "tenant_cmd_cobalt",
      "INSERT INTO rc.mirror (mirror, position) VALUES ('prompt-encryption', 'mirroring')",
    );
    await refused(2, /by their own ledgers prompt-encryption is not off: 1 tenant \(cmd-cobalt\)/, "vault");
    await fixture.tenant("tenant_cmd_cobalt", "UPDATE rc.mirror SET position = 'off'");

    await fixture.tenant(
      "tenant_cmd_cobalt",
      "INSERT INTO rc.keyset (tenant, class, version, encrypted) VALUES ('cmd-cobalt', 'prompt', 1, 'x')",
    );
    await refused(2, /1 tenants \(cmd-cobalt\) keep keysets .*--shred-keysets/, "vault");
    await refused(2, /keep keysets/, "vault", "--shred-keysets", " ");
  });

  it("refuses while a tenant cannot be asked, or is being onboarded", async () => {
    await fixture.tenant("postgres", "ALTER DATABASE tenant_cmd_acme RENAME TO away_cmd_acme");
    const run = await dev("vault", "--shred-keysets", "test");
    await fixture.tenant("postgres", "ALTER DATABASE away_cmd_acme RENAME TO tenant_cmd_acme");
    assert.equal(run.code, 1, run.stdout);
    assert.match(run.stderr, /ledger of tenant cmd-acme: .*does not exist.*nothing was changed/);
    const { tenants } = fixture.commands.registry;
    await tenants.setStatus("active", "onboarding", { ids: ["cmd-acme"] });
    await refused(2, /still being onboarded: 1 tenant \(cmd-acme\)/, "vault", "--shred-keysets", "test");
    await tenants.setStatus("onboarding", "active", { ids: ["cmd-acme"] });
  });

  it("refuses when other changes would come along, and when a pinned release needs the part", async () => {
    fixture.commands.stack.setVariables({ RC_TEST_STRAY: "1" });
    await refused(
      2,
      /create Mount stray-transit would come along.*pulumi up -s dev/s,
      "vault",
      "--shred-keysets",
      "test",
    );
    fixture.commands.stack.setVariables({ RC_TEST_STRAY: "" });
    const before = await fixture.commands.fileText();
    await fixture.commands.stack.writeStackFile(before.replaceAll(r1, r2));
    await refused(
      2,
      /without vault, pins\.canary\.now is .*present\.vault is false/,
      "vault",
      "--shred-keysets",
      "test",
    );
    await fixture.commands.stack.writeStackFile(before);
  });

  it("takes Vault out: mount, keysets and the spare probe go, tenants stay", async () => {
    await fixture.tenant("postgres", "CREATE DATABASE tenant_probe_r2 OWNER rc_migrator");
    await fixture.commands.registry.tenants.register([
      { id: "probe-r2", region: "local", tags: [], database: "tenant_probe_r2", isProbe: true, bornRelease: "r2" },
    ]);
    const updates = await fixture.commands.updates();
    const run = await dev("vault", "--shred-keysets", "no backup was sealed", "--json");
    assert.equal(run.code, 0, run.stdout + run.stderr);
    const told = JSON.parse(run.stdout);
    assert.deepEqual([told.keysetsOf, told.probes], [["cmd-cobalt"], ["probe-r2"]]);
    assert.equal(await fixture.commands.updates(), updates + 2);
    const [last] = JSON.parse((await fixture.commands.dev("history", "--json")).stdout).entries;
    assert.equal(last.message, "decommission vault (keysets given up: no backup was sealed)");
    const after = await fixture.world(databases);
    assert.ok(!after.mounts.includes("transit-dev/"));
    assert.equal(after.keysets, 0);
    assert.deepEqual(after.tenants, databases);
    assert.match(after.file, /present: \{ vault: false, milvus: false \}/);
    assert.doesNotMatch(after.file, /leaving/);
    assert.deepEqual(
      (await fixture.resources()).filter((name) => name.startsWith("local-")),
      [],
    );
    assert.deepEqual(
      (await fixture.commands.registry.tenants.list()).map(({ id }) => id),
      ["cmd-acme", "cmd-cobalt"],
    );
    const again = await dev("vault");
    assert.equal(again.code, 1);
    assert.match(again.stderr, /vault is not present in dev; .*pulumi up -s dev/);
  });
});
