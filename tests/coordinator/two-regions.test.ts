import assert from "node:assert/strict";
import { databaseUrl, dropDatabase } from "../servers.ts";
import { Registry } from "../../migrations/registry/registry.ts";
import { RegionServer } from "../region-server.ts";
import { CommandFixture, createRolesOfLaterReleases, stackText } from "./command-fixture.ts";

interface Finding {
  readonly subject: string;
  readonly outcome: string;
  readonly found: string;
}

/** Two regions, each with a PostgreSQL server of its own; eu is the home of the environment's own records. */
describe("commands on two regions", function () {
  this.timeout(120_000);
  let fixture: CommandFixture;
  let us: RegionServer;
  let registryUs: Registry;

  const run = (...words: string[]) => fixture.stack.coordinator(...words);
  const statuses = async () => {
    const all = [...(await fixture.registry.tenants.list()), ...(await registryUs.tenants.list())];
    return Object.fromEntries(all.map(({ id, status }) => [id, status]));
  };
  const setRegions = async (change: (text: string) => string = (text) => text) => {
    const salt = /^encryptionsalt: .*$/m.exec(await fixture.fileText())?.[0] ?? "";
    const region = (name: string, url: string) =>
      `      - name: ${name}\n        cluster: { context: ${name}, kubeconfig: env:RC_KUBECONFIG }\n` +
      `        postgres: { kind: external, url: env:${url} }\n` +
      "        vault: { kind: external, address: env:RC_VAULT_ADDR, token: env:RC_VAULT_TOKEN }\n";
    const text = stackText
      .replace("runtime: docker", "runtime: kubernetes")
      .replace(/ {6}- name: local\n(?: {8}.*\n)+/, region("eu", "RC_POSTGRES_URL") + region("us", "RC_US_POSTGRES_URL"))
      .replace(/ {4}docker: .*\n/, "");
    await fixture.stack.writeStackFile(`${salt}\n${change(text)}`);
  };

  before(async () => {
    [fixture, us] = await Promise.all([CommandFixture.open(), RegionServer.start()]);
    await createRolesOfLaterReleases(us.url);
    registryUs = new Registry(databaseUrl("rc_registry", us.url));
    fixture.stack.setVariables({
      RC_US_POSTGRES_URL: us.url,
      RC_KUBECONFIG: "/nowhere/kubeconfig",
      RC_IMAGES_FILE: "/nowhere/images.json",
    });
    await setRegions();
    const made = [
      await run("tenant", "onboard", "two-eu", "--env", "dev", "--region", "eu"),
      await run("tenant", "onboard", "two-us", "--env", "dev", "--region", "us", "--tags", "canary"),
    ];
    for (const { code, stderr } of made) assert.equal(code, 0, stderr);
  });
  after(async () => {
    await registryUs.close();
    await us.end();
    await dropDatabase("tenant_two_eu");
    await fixture.close();
  });

  it("onboards nobody whose id lives in another region, nor when a region cannot be asked", async () => {
    const twice = await run("tenant", "onboard", "two-new", "two-us", "--env", "dev", "--region", "eu");
    assert.equal(twice.code, 1);
    assert.match(twice.stderr + twice.stdout, /nothing was onboarded: two-us lives in region us, not in eu/);
    await us.stop();
    const lost = await run("tenant", "onboard", "two-new", "--env", "dev", "--region", "eu");
    await us.restart();
    assert.equal(lost.code, 1);
    assert.match(lost.stderr + lost.stdout, /region us/);
    assert.deepEqual(await statuses(), { "two-eu": "active", "two-us": "active" });
    // At home it is left as it is.
    assert.equal((await run("tenant", "onboard", "two-us", "--env", "dev", "--region", "us")).code, 0);
  });

  it("takes the named tenants out of service in the regions where they live, and back", async () => {
    const on = await run("maintenance", "dev", "on", "--tenant", "two-us");
    assert.equal(on.code, 0, on.stderr);
    assert.match(on.stdout, /in maintenance: two-us/);
    assert.deepEqual(await statuses(), { "two-eu": "active", "two-us": "suspended" });
    const wave = await run("maintenance", "dev", "off", "--wave", "canary");
    assert.match(wave.stdout, /back in service: two-us/);
    const both = await run("maintenance", "dev", "on", "--tenant", "two-us", "two-eu");
    assert.match(both.stdout, /in maintenance: two-eu, two-us/);
    assert.match((await run("maintenance", "dev", "off")).stdout, /back in service: two-eu, two-us/);
  });

  it("changes nobody when a named tenant is unknown or unfinished anywhere, or a region does not answer", async () => {
    const unknown = await run("maintenance", "dev", "on", "--tenant", "two-eu", "nobody");
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr + unknown.stdout, /nobody: not in dev/);
    await registryUs.tenants.setStatus("active", "onboarding", { ids: ["two-us"] });
    const unfinished = await run("maintenance", "dev", "on", "--tenant", "two-eu", "two-us");
    assert.equal(unfinished.code, 1);
    assert.match(unfinished.stderr + unfinished.stdout, /two-us: still being onboarded/);
    await registryUs.tenants.setStatus("onboarding", "active", { ids: ["two-us"] });
    await us.stop();
    const lost = await run("maintenance", "dev", "on");
    await us.restart();
    assert.equal(lost.code, 1);
    assert.deepEqual(await statuses(), { "two-eu": "active", "two-us": "active" });
  });

  it("names what the second region changed no more when it fails after the first", async () => {
    // The registry can be read, but its rows are locked away from the statement that changes them.
    await us.query("rc_registry", "REVOKE UPDATE ON registry.tenant FROM rc_migrator");
    await us.query("rc_registry", "ALTER TABLE registry.tenant OWNER TO CURRENT_USER");
    await us.query("rc_registry", "GRANT SELECT ON registry.tenant TO rc_migrator");
    const half = await run("maintenance", "dev", "on");
    await us.query("rc_registry", "ALTER TABLE registry.tenant OWNER TO rc_migrator");
    await us.query("rc_registry", "GRANT ALL ON registry.tenant TO rc_migrator");
    assert.equal(half.code, 1);
    assert.match(half.stderr + half.stdout, /region us: .*in maintenance before it: two-eu; run the command again/);
    assert.match((await run("maintenance", "dev", "on")).stdout, /in maintenance: two-us/);
    assert.equal((await run("maintenance", "dev", "off")).code, 0);
  });

  it("looks at both regions in doctor, and at clusters in place of Docker", async () => {
    const examine = async () => {
      const { stdout } = await run("doctor", "--json", "--env", "dev");
      const { findings } = JSON.parse(stdout) as { findings: Finding[] };
      return findings.map(({ subject, outcome, found }) => `${outcome} ${subject}: ${found}`).join("\n");
    };
    const told = await examine();
    assert.match(told, /go database tenant_two_eu/);
    assert.match(told, /go database tenant_two_us/);
    assert.match(told, /go registry: tables are there; tenants: 1 in canary, 1 in general/);
    assert.match(told, /no-go cluster eu: .*\/nowhere\/kubeconfig/);
    assert.match(told, /no-go cluster us: .*\/nowhere\/kubeconfig/);
    assert.doesNotMatch(told, /docker/);
    await us.stop();
    const lost = await examine();
    await us.restart();
    assert.match(lost, /no-go postgres us: .*ECONNREFUSED/);
    assert.match(lost, /go postgres eu: pgvector is available/);
  });

  it("takes a region without a registry for one that has just been added: it has no tenants yet", async () => {
    const tenants = async () => {
      const { stdout } = await run("status", "--json", "--env", "dev");
      const { waves } = JSON.parse(stdout) as { waves: { tenants: { id: string }[] }[] };
      return waves.flatMap((wave) => wave.tenants.map(({ id }) => id));
    };
    await us.query("postgres", "ALTER DATABASE rc_registry RENAME TO rc_registry_later");
    const alone = await tenants();
    await us.query("postgres", "ALTER DATABASE rc_registry_later RENAME TO rc_registry");
    assert.deepEqual(alone, ["two-eu"]);
    assert.deepEqual(await tenants(), ["two-us", "two-eu"]);
  });

  it("decommissions nothing that a tenant of the second region needs, or that it cannot ask about", async () => {
    await setRegions((text) => text.replace("vault: false", "vault: true"));
    const asked = async () => {
      const { code, stdout, stderr } = await run("decommission", "vault", "--dry-run", "--env", "dev");
      return { code, told: stdout + stderr };
    };
    const free = await asked();
    assert.equal(free.code, 0, free.told);
    assert.match(free.told, /nobody in dev needs vault/);
    await us.query(
      "tenant_two_us",
      "INSERT INTO rc.mirror (mirror, position) VALUES ('prompt-encryption', 'mirroring')",
    );
    const needed = await asked();
    assert.equal(needed.code, 2, needed.told);
    assert.match(needed.told, /by their own ledgers prompt-encryption is not off: 1 tenant \(two-us\)/);
    await us.query("tenant_two_us", "DELETE FROM rc.mirror");
    await us.stop();
    const lost = await asked();
    await us.restart();
    assert.equal(lost.code, 1, lost.told);
    assert.match(lost.told, /region us: PostgreSQL at \S+ does not answer .*correct env:RC_US_POSTGRES_URL/);
    await us.query("postgres", "ALTER DATABASE rc_registry RENAME TO rc_registry_lost");
    const gone = await asked();
    await us.query("postgres", "ALTER DATABASE rc_registry_lost RENAME TO rc_registry");
    assert.equal(gone.code, 1, gone.told);
    assert.match(gone.told, /region us: .*rc_registry/);
    const wave = await run("decommission", "canary", "--dry-run", "--env", "dev");
    assert.equal(wave.code, 2);
    assert.match(wave.stdout + wave.stderr, /wave canary has 1 tenant \(two-us\)/);
  });
});
