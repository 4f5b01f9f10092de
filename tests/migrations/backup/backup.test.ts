import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { digestDatabase } from "../../../migrations/backup/database-digest.ts";
import { streamContext } from "../../../migrations/backup/manifest.ts";
import { restoreBackup } from "../../../migrations/backup/restore-backup.ts";
import { planRestore, RestoreRefusedError } from "../../../migrations/backup/restore-plan.ts";
import { shredLine } from "../../../migrations/backup/shred-ledger.ts";
import { tenantDatabase } from "../../../migrations/registry/tenant-id.ts";
import { kekName } from "../../../migrations/vault/transit.ts";
import { getVault } from "../../servers.ts";
import { r2 } from "../onboarding-fixture.ts";
import { BackupFixture } from "./backup-fixture.ts";

describe("a backup of a tenant", function () {
  this.timeout(300_000);
  let fixture: BackupFixture;
  before(async () => void (fixture = await BackupFixture.open("backup", 13)));
  after(() => fixture?.close());

  const digests = async (tenant: string) => {
    const admin = await fixture.admin(tenant);
    await admin.query("BEGIN; SET LOCAL search_path = pg_catalog");
    const found = await digestDatabase(admin);
    await admin.query("ROLLBACK");
    // The restore itself notes what it did, and the keysets are wrapped anew.
    return found.filter(({ table }) => table.startsWith("public."));
  };
  const change = (tenant: string) =>
    fixture.onboarding.query(tenant, [
      "UPDATE prompt_bodies SET body = 'changed'",
      "DELETE FROM prompts WHERE title = 'p1'",
    ]);
  const refusals = async (tenant: string, id?: string, changes = {}): Promise<string> => {
    const target = await fixture.target(tenant, changes);
    return planRestore(target, id).then(
      () => "",
      (error: Error) => (error instanceof RestoreRefusedError ? error.reasons.join("\n") : Promise.reject(error)),
    );
  };

  it("brings every row back, and says where the tenant is to ledger and registry", async () => {
    const tenant = await fixture.tenant();
    const before = await digests(tenant);
    const manifest = await fixture.take(tenant);
    await change(tenant);
    assert.notDeepEqual(await digests(tenant), before);
    await fixture.maintenance(tenant, true);
    const result = await fixture.restore(tenant);
    assert.deepEqual([result.status, result.backup, result.pin], ["restored", manifest.id, "r1@111111111111"]);
    assert.deepEqual(await digests(tenant), before);
    const [where] = await fixture.onboarding.query(tenant, ["SELECT release, pin FROM rc.whereabouts"]);
    assert.deepEqual(where, { release: "r1", pin: "r1@111111111111" });
    assert.deepEqual(await fixture.databases(tenant), [tenantDatabase(tenant), result.previous]);
    // The release's role gets in and nobody else does.
    const login = { user: "platform_r1", password: "platform-r1" };
    assert.equal((await fixture.onboarding.query(tenant, ["SELECT FROM prompt_bodies"], login)).length, 300);
    await assert.rejects(
      fixture.onboarding.query(tenant, ["SELECT FROM prompt_bodies"], { user: "platform_r2", password: "platform-r2" }),
      /permission denied/,
    );
  });

  it("lies on the disk sealed only, and stock Tink opens it to what pg_dump wrote", async () => {
    const tenant = await fixture.tenant();
    const manifest = await fixture.take(tenant);
    const folder = join(fixture.root, "onb", tenant, manifest.id);
    assert.deepEqual((await readdir(folder)).sort(), ["dump", "manifest.json"]);
    const sealed = await readFile(join(folder, "dump"));
    assert.equal(createHash("sha256").update(sealed).digest("hex"), manifest.sealed.sha256);
    for (const text of ["PGDMP", "body of", "prompt_bodies"]) assert.ok(!sealed.includes(text), text);
    const opened = join(fixture.root, "opened");
    const script = join(import.meta.dirname, "open_dump.py");
    await execa(process.env["RC_PYTHON"] as string, [script], {
      input: JSON.stringify({
        ...getVault(),
        mount: "transit-onb",
        kek: kekName(tenant),
        encryptedKeyset: manifest.keyset,
        associatedData: streamContext(manifest).toString("base64"),
        sealed: join(folder, "dump"),
        opened,
      }),
    });
    const programs = process.env["RC_POSTGRES_BIN"] ?? "";
    const { stdout } = await execa(join(programs, "pg_restore"), [
      "--data-only",
      "--file=-",
      "--table=prompt_bodies",
      opened,
    ]);
    assert.equal(stdout.match(/body of/g)?.length, 300);
  });

  it("restores a database that is lost altogether", async () => {
    const tenant = await fixture.tenant();
    const before = await digests(tenant);
    await fixture.take(tenant);
    await fixture.maintenance(tenant, true);
    await fixture.drop(tenantDatabase(tenant));
    await fixture.restore(tenant);
    assert.deepEqual(await digests(tenant), before);
    assert.deepEqual(await fixture.databases(tenant), [tenantDatabase(tenant)]);
  });

  it("is refused for every reason at once, and nothing is changed", async () => {
    const tenant = await fixture.tenant();
    const manifest = await fixture.take(tenant);
    const why = await refusals(tenant, manifest.id, { releases: [r2] });
    assert.match(why, /is active.*coordinator maintenance onb on --tenant/);
    assert.match(why, /no fleet could serve it; pin r1/);
    assert.match(await refusals(tenant, "20270101T000000Z-00000000"), /has no backup 20270101T000000Z-00000000/);
    assert.deepEqual(await fixture.databases(tenant), [tenantDatabase(tenant)]);
  });

  it("is refused when the schema is not one that the release runs with", async () => {
    const tenant = await fixture.tenant();
    await fixture.onboarding.query(tenant, ["UPDATE alembic_version SET version_num = '0009'"]);
    await fixture.take(tenant);
    await fixture.maintenance(tenant, true);
    assert.match(await refusals(tenant), /has the schema 0009, r1@1{12} runs with 0001, 0002/);
  });

  it("is refused when its keys are gone, by version or altogether", async () => {
    const tenant = await fixture.tenant();
    const manifest = await fixture.take(tenant);
    await fixture.maintenance(tenant, true);
    await fixture.transit.rotate(tenant);
    await fixture.vault("POST", `transit-onb/keys/${kekName(tenant)}/config`, { min_decryption_version: 2 });
    assert.match(await refusals(tenant, manifest.id), /needs version 1 .* min_decryption_version is 2/);
    await fixture.vault("POST", `transit-onb/keys/${kekName(tenant)}/config`, { deletion_allowed: true });
    await fixture.vault("DELETE", `transit-onb/keys/${kekName(tenant)}`);
    assert.match(await refusals(tenant, manifest.id), /the KEK of tenant .* is not in transit-onb/);
  });

  it("is refused for a tenant that was shredded, and for everybody when the shred ledger was changed", async () => {
    const [shredded, other] = [await fixture.tenant(), await fixture.tenant()];
    for (const tenant of [shredded, other]) {
      await fixture.take(tenant);
      await fixture.maintenance(tenant, true);
    }
    const file = fixture.folder.shredLedgerFile;
    const entry = { environment: "onb", kek: kekName(shredded), shreddedAt: "2027-01-18T09:00:00Z", certificate: "ab" };
    const first = shredLine([], { ...entry, tenant: "bk-gone", kek: "kek-bk-gone" });
    const second = shredLine([first], { ...entry, tenant: shredded });
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${first}\n`);
    await appendFile(file, `${second}\n`);
    assert.match(await refusals(shredded), /was shredded on 2027-01-18T09:00:00Z/);
    assert.equal(await refusals(other), "");
    await writeFile(file, `${second}\n`);
    assert.match(await refusals(other), /line 1: does not follow the line before it/);
    await writeFile(file, `${first}\nnonsense\n`);
    assert.match(await refusals(other), /line 2: is no entry of format 1/);
    await writeFile(file, "");
  });

  it("is refused when a byte of it was changed, and leaves nothing half done", async () => {
    const tenant = await fixture.tenant();
    const manifest = await fixture.take(tenant);
    await fixture.maintenance(tenant, true);
    const before = await digests(tenant);
    const folder = join(fixture.root, "onb", tenant, manifest.id);
    const dump = await readFile(join(folder, "dump"));
    const faults: Record<string, Buffer> = {
      cut: dump.subarray(0, dump.length - 1),
      "one bit": Buffer.from(dump.map((byte, at) => (at === 1000 ? byte ^ 1 : byte))),
      empty: Buffer.alloc(0),
    };
    for (const [name, bytes] of Object.entries(faults)) {
      await writeFile(join(folder, "dump"), bytes);
      await assert.rejects(fixture.restore(tenant), /sealed stream/, name);
      assert.deepEqual(await fixture.databases(tenant), [tenantDatabase(tenant)], name);
    }
    await writeFile(join(folder, "dump"), dump);
    const file = join(folder, "manifest.json");
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace('"before": "request"', '"before": "prepare"'));
    assert.match(await refusals(tenant), /its manifest was changed/);
    await writeFile(file, text.slice(0, 100));
    assert.match(await refusals(tenant), /is no manifest of format 1/);
    await writeFile(file, text);
    assert.deepEqual(await digests(tenant), before);
  });

  it("is not put in place when a table did not become what the manifest says", async () => {
    const tenant = await fixture.tenant();
    await fixture.take(tenant);
    await fixture.maintenance(tenant, true);
    const target = await fixture.target(tenant);
    const plan = await planRestore(target);
    const tables = plan.manifest.tables.map((each) =>
      each.table === "public.prompts" ? { ...each, rows: 299 } : each,
    );
    await assert.rejects(
      restoreBackup(target, { ...plan, manifest: { ...plan.manifest, tables } }),
      /public.prompts has 300 rows, not 299; nothing was changed/,
    );
    assert.deepEqual(await fixture.databases(tenant), [tenantDatabase(tenant)]);
  });

  it("is whole or not there, wherever its run is killed", async () => {
    const tenant = await fixture.tenant();
    const listed = async () => (await fixture.folder.list(tenant)).map(({ manifest }) => manifest.id);
    for (const point of ["backup.written", "backup.described"]) {
      const ended = await fixture.runKilled({ act: "take", tenant }, point);
      assert.equal(ended.signal, "SIGKILL", point);
      assert.deepEqual(await listed(), [], point);
      assert.equal((await readdir(join(fixture.root, "onb", tenant))).length, 1, point);
    }
    const whole = await fixture.take(tenant);
    assert.deepEqual(await listed(), [whole.id]);
    assert.deepEqual(await readdir(join(fixture.root, "onb", tenant)), [whole.id]);
  });

  it("is restored by the next run, wherever the one before was killed", async () => {
    const tenant = await fixture.tenant();
    const before = await digests(tenant);
    const manifest = await fixture.take(tenant);
    await fixture.maintenance(tenant, true);
    for (const point of ["restore.made", "restore.loaded", "restore.adopted", "restore.swapped"]) {
      await change(tenant);
      const changed = await digests(tenant);
      await fixture.registry.routes.point([tenant], { release: "r2", pin: "r2@222222222222" });
      const ended = await fixture.runKilled({ act: "restore", tenant, id: manifest.id }, point);
      assert.equal(ended.signal, "SIGKILL", point);
      // Until the rename the tenant is as it was; after it only the registry does not know.
      assert.deepEqual(await digests(tenant), point === "restore.swapped" ? before : changed, point);
      const result = await fixture.restore(tenant, manifest.id);
      assert.equal(result.status, point === "restore.swapped" ? "finished" : "restored", point);
      assert.deepEqual(await digests(tenant), before, point);
      assert.equal((await fixture.registry.routes.list([tenant]))[0]?.pin, "r1@111111111111", point);
    }
    assert.ok(!(await fixture.databases(tenant)).some((name) => name.endsWith("_restoring")));
  });

  it("is listed until its day, and removed after it", async () => {
    const tenant = await fixture.tenant();
    const { id, takenAt } = await fixture.take(tenant);
    const inDays = (days: number) => new Date(Date.parse(takenAt) + days * 86_400_000);
    assert.equal((await fixture.folder.list(tenant, inDays(6.9)))[0]?.isExpired, false);
    assert.equal((await fixture.folder.list(tenant, inDays(7)))[0]?.isExpired, true);
    await fixture.folder.remove(tenant, id);
    await fixture.folder.remove(tenant, id);
    assert.deepEqual(await readdir(join(fixture.root, "onb", tenant)), []);
  });
});
