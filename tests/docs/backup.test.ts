import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { runCommandLine } from "../../coordinator/command-line.ts";
import { readProof } from "../../migrations/backup/proof.ts";
import { onboardTenants } from "../../migrations/onboarding.ts";
import { allReleases, getRelease } from "../../releases/catalog.ts";
import { releaseTarget } from "../../releases/target.ts";
import { r1, r2, stackText } from "../coordinator/command-fixture.ts";
import { ensureMounted } from "../migrations/vault/test-vault.ts";
import { createDatabase, createRoles, dropDatabase, getPostgresUrl, getVault } from "../servers.ts";
import { blocksOf, readPage } from "./markdown.ts";
import { simpleCommands } from "./shell-words.ts";

/** What a command of the page ends with when it is not 0, and why. */
const otherEnds: Readonly<Record<string, { code: number; says: RegExp }>> = {
  "keys new-primary": { code: 3, says: /acme: prompt key \d+ added; run this again after/ },
  // The page's key is an example: that of nobody.
  "keys disable": { code: 1, says: /key 1234567890 of keyset prompt does not exist/ },
};

describe("docs/backup.md", function () {
  this.timeout(180_000);
  let folder: string;
  const page = readPage("docs/backup.md");
  const variables = (): Record<string, string> => ({
    RC_POSTGRES_URL: getPostgresUrl(),
    RC_VAULT_ADDR: getVault().address,
    RC_VAULT_TOKEN: getVault().token,
  });
  const inherited = { ...process.env };

  const clear = async () => {
    const client = new pg.Client({ connectionString: getPostgresUrl() });
    await client.connect();
    const found = await client.query<{ datname: string }>(
      "SELECT datname FROM pg_database WHERE datname ~ '^tenant_acme(_was_.*)?$'",
    );
    await client.end();
    for (const { datname } of found.rows) await dropDatabase(datname);
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "rc-docs-backup-"));
    Object.assign(process.env, variables(), { RC_STAGING_BACKUP_FOLDER: join(folder, "backups") });
    await createRoles();
    const client = new pg.Client({ connectionString: getPostgresUrl() });
    await client.connect();
    for (const { id } of allReleases()) {
      const role = await client.query("SELECT FROM pg_roles WHERE rolname = $1", [`platform_${id}`]);
      if (role.rowCount === 0) await client.query(`CREATE ROLE platform_${id} LOGIN`);
    }
    await client.end();
    await clear();
    await createDatabase("rc_registry");
    await ensureMounted("mounts/transit-staging", { type: "transit" });
    await writeFile(join(folder, "Pulumi.yaml"), "name: release-coordinator\nruntime: nodejs\n");
    const text = stackText
      .replace("name: dev", "name: staging")
      .replace("vault: false", "vault: true")
      .replaceAll(`{ now: ${r1}, back: none }`, `{ now: ${r2}, back: ${r1} }`)
      .concat("    backup: { kind: dump, to: env:RC_STAGING_BACKUP_FOLDER, keepDays: 7 }\n");
    await writeFile(join(folder, "Pulumi.staging.yaml"), text);
    const [result] = await onboardTenants({
      environment: "staging",
      region: {
        name: "local",
        postgresUrl: "env:RC_POSTGRES_URL",
        vaultAddress: "env:RC_VAULT_ADDR",
        vaultToken: "env:RC_VAULT_TOKEN",
      },
      release: releaseTarget(getRelease("r2")),
      tenants: [{ id: "acme", tags: ["canary"] }],
      releaseRoles: allReleases().map(({ id }) => `platform_${id}`),
    });
    assert.equal(result?.status, "done", result?.reason);
  });
  after(async () => {
    for (const name of [...Object.keys(variables()), "RC_STAGING_BACKUP_FOLDER"])
      if (inherited[name] === undefined) delete process.env[name];
      else process.env[name] = inherited[name];
    await clear();
    await dropDatabase("rc_registry");
    await rm(folder, { recursive: true, force: true });
  });

  it("names commands that do what it says, in the order in which it names them", async () => {
    const commands = blocksOf(page, "sh").flatMap(({ text }) => simpleCommands(text));
    assert.ok(commands.length > 10);
    for (const [program, script, ...words] of commands) {
      assert.deepEqual([program, script], ["node", "coordinator/main.ts"]);
      let told = "";
      const terminal = { stdout: (part: string) => void (told += part), stderr: (part: string) => void (told += part) };
      const code = await runCommandLine(words, terminal, folder);
      const name = words.slice(0, 2).join(" ");
      const end = otherEnds[name];
      assert.equal(code, end?.code ?? 0, `${words.join(" ")}: ${told}`);
      if (end !== undefined) assert.match(told, end.says);
      if (name === "restore --env" && !words.includes("--dry-run"))
        assert.match(told, /equal to the manifest table by table/);
    }
  });

  it("refuses a restore without maintenance as a no-go with the command that mends it", async () => {
    let told = "";
    const terminal = { stdout: (part: string) => void (told += part), stderr: () => undefined };
    const words = ["restore", "--env", "staging", "--tenant", "acme"];
    const create = ["backup", "create", "--env", "staging", "--tenant", "acme"];
    assert.equal(await runCommandLine(create, terminal, folder), 0);
    told = "";
    assert.equal(await runCommandLine(words, terminal, folder), 2);
    assert.match(told, /no-go: tenant acme is active.*coordinator maintenance staging on --tenant acme/s);
  });

  it("shows a proof that the program reads", async () => {
    const [block] = blocksOf(page, "json");
    const line = JSON.stringify(JSON.parse(block?.text ?? ""));
    const proof = await readProof(`echo '${line}'`);
    assert.equal(proof.oldestRecoverablePoint?.toISOString(), "2026-12-19T00:00:00.000Z");
  });
});
