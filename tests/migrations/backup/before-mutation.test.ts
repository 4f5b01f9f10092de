import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backupRefusals } from "../../../migrations/backup/before-mutation.ts";
import { BackupFolder } from "../../../migrations/backup/backup-folder.ts";
import { longestDrillAgeMs, longestPointAgeMs, proofFaults } from "../../../migrations/backup/proof.ts";
import { cutoverNode } from "../../../migrations/nodes/cutover-node.ts";
import { finalizeNode } from "../../../migrations/nodes/finalize-node.ts";
import { prepareNode } from "../../../migrations/nodes/prepare-node.ts";
import type { WaveInputs } from "../../../migrations/wave-inputs.ts";
import { openWave, type WaveFixture } from "../nodes/wave-fixture.ts";
import { r1, r2 } from "../onboarding-fixture.ts";

describe("before data is changed for the first time", function () {
  this.timeout(300_000);
  let wave: WaveFixture;
  let root: string;
  before(async () => {
    wave = await openWave();
    root = await mkdtemp(join(tmpdir(), "rc-before-"));
    process.env["BEF_FOLDER"] = root;
    await wave.seed(["bef-one", "bef-two"]);
  });
  after(async () => {
    await wave?.close();
    await rm(root, { recursive: true, force: true });
  });
  const backup = { kind: "dump", to: "env:BEF_FOLDER", keepDays: 7 } as const;
  const inputs = (kind: WaveInputs["kind"], changes: Partial<WaveInputs> = {}): WaveInputs =>
    wave.inputs(r2, { kind, backup, ...changes });
  const befores = async (tenant: string) =>
    (await new BackupFolder(root, "onb").list(tenant)).map(({ manifest }) => `${manifest.before} at ${manifest.pin}`);

  it("touches no tenant that could not be dumped, and says which", async () => {
    process.env["BEF_FILE"] = join(root, "a-file");
    await writeFile(process.env["BEF_FILE"], "");
    const broken = inputs("prepare", { backup: { ...backup, to: "env:BEF_FILE" } });
    await assert.rejects(prepareNode.run(broken), /bef-one: backup: .*nothing of the tenant was changed/);
    const [revision] = await wave.onboarding.query("bef-one", ["SELECT version_num FROM alembic_version"]);
    assert.deepEqual(revision, { version_num: "0001" });
  });

  it("takes a dump before prepare, one for a run that is repeated, none once the mirror is built", async () => {
    assert.equal((await prepareNode.run(inputs("prepare"))).status, "done");
    const [only] = await new BackupFolder(root, "onb").list("bef-one");
    assert.deepEqual(await befores("bef-one"), [`prepare ${r2.pin} at ${r1.pin}`]);
    // The schema in it is that of before, too.
    assert.equal(only?.manifest.schemaRevision, "0001");
    await prepareNode.run(inputs("prepare"));
    assert.equal((await befores("bef-two")).length, 1);
  });

  it("takes another one before the contract, and removes those whose window is closed", async () => {
    await cutoverNode.run(inputs("cutover"));
    const outcome = await finalizeNode.run(inputs("finalize", { mirrors: ["prompt-encryption"] }));
    assert.equal(outcome.status, "done");
    assert.deepEqual(await befores("bef-one"), [`finalize ${r2.pin} at ${r2.pin}`]);
    assert.equal((await readdir(join(root, "onb", "bef-two"))).length, 1);
  });

  it("makes no dump on the way back, which is promised within minutes", async () => {
    const back = wave.inputs(r1, { kind: "prepare", backup });
    await prepareNode.run(back);
    assert.equal((await befores("bef-one")).length, 1);
  });
});

describe("the proof of a platform's own recovery", () => {
  const now = new Date("2027-01-18T09:00:00Z");
  const before = (ms: number) => new Date(now.getTime() - ms);
  const proof = { newestRecoverablePoint: before(60_000), lastRestoreDrill: before(86_400_000) };

  it("is fresh up to 15 minutes and 30 days, and not a moment longer", () => {
    assert.deepEqual(proofFaults(proof, now), []);
    const edge = { newestRecoverablePoint: before(longestPointAgeMs), lastRestoreDrill: before(longestDrillAgeMs) };
    assert.deepEqual(proofFaults(edge, now), []);
    const stale = {
      newestRecoverablePoint: before(longestPointAgeMs + 1),
      lastRestoreDrill: before(longestDrillAgeMs + 1),
    };
    assert.equal(proofFaults(stale, now).length, 2);
    assert.match(proofFaults({ ...proof, lastRestoreDrill: before(-3_600_000) }, now).join(), /in the future/);
  });

  it("is what the command prints, literal or by reference; anything else refuses", async () => {
    const iso = (ms: number) => new Date(Date.now() - ms).toISOString();
    const print = (point: string, drill: string) =>
      `echo checking; echo '${JSON.stringify({ newestRecoverablePoint: point, lastRestoreDrill: drill })}'`;
    const ask = (command: string) => backupRefusals({ kind: "pitr", proof: command });
    assert.deepEqual(await ask(print(iso(1000), iso(1000))), []);
    process.env["BEF_PROOF"] = print(iso(1000), iso(1000));
    assert.deepEqual(await ask("env:BEF_PROOF"), []);
    assert.match((await ask(print(iso(3_600_000), iso(1000)))).join(), /newest recoverable point/);
    assert.match((await ask(print(iso(1000), "yesterday"))).join(), /lastRestoreDrill is "yesterday"/);
    assert.match((await ask("exit 3")).join(), /ended with exit code 3/);
    assert.match((await ask("echo all is well")).join(), /no JSON/);
    assert.match((await ask("env:BEF_NOBODY")).join(), /BEF_NOBODY/);
    assert.deepEqual(await backupRefusals(undefined), []);
    assert.match((await backupRefusals({ kind: "dump", to: "env:BEF_PROOF", keepDays: 1 })).join(), /absolute path/);
  });
});
