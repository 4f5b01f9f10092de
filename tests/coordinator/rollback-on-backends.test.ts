import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { openBackendFiles } from "../../coordinator/backend/backend-files.ts";
import { createDatabase, databaseUrl, dropDatabase } from "../servers.ts";
import { S3Server, s3Credentials } from "./backend/s3-server.ts";
import { CommandFixture, r1, r2 } from "./command-fixture.ts";

/** The way back where the state is neither whole nor on a disk of ours: the real Pulumi on a bucket and on a table. */
for (const kind of ["s3", "postgres"] as const)
  describe(`a rollback with the state in ${kind}`, function () {
    this.timeout(300_000);
    this.bail(true);
    let fixture: CommandFixture;
    let server: S3Server | undefined;
    let url: string;

    before(async function () {
      this.timeout(900_000); // the S3 server's packages are installed the first time
      if (kind === "s3") server = await S3Server.start();
      else await createDatabase("rc_pulumi_state");
      url = server
        ? await server.makeBucket("state")
        : `${databaseUrl("rc_pulumi_state")}?sslmode=disable`.replace(/^postgresql:/, "postgres:");
      fixture = await CommandFixture.open({ PULUMI_BACKEND_URL: url, ...s3Credentials });
      fixture.world.members["general"] = [];
      await fixture.dev("tenant", "onboard", "cmd-acme", "--tags", "canary");
      for (const release of ["r1", "r2"]) {
        const run = await fixture.dev("promote", release);
        assert.equal(run.code, 0, run.stdout + run.stderr);
      }
    });
    after(async () => {
      await fixture.close();
      await server?.stop();
      if (kind === "postgres") await dropDatabase("rc_pulumi_state");
    });

    it("plans from the history also when one entry is cut off, and tells every step with its time", async () => {
      await cutHistory(url);
      const before = await fixture.fileText();
      const dry = await fixture.stack.coordinator("rollback", "dev", "--dry-run", "--json");
      assert.equal(dry.code, 0, dry.stdout + dry.stderr);
      assert.match(dry.stderr, /dev-9\.history\.json is left out/);
      const { planned } = JSON.parse(dry.stdout) as {
        planned: { does: string; seconds: number | null; from: string }[];
      };
      assert.match(planned.map(({ does }) => does).join("\n"), new RegExp(`preview ${r1}.*\nhold .*\nupdate to ${r1}`));
      assert.deepEqual(
        planned.filter(({ seconds }) => seconds === null).map(({ does }) => does.split(" ")[0]),
        ["verify"],
        "all others were measured",
      );
      assert.equal(await fixture.fileText(), before);
    });

    it("goes back over operations that a killed update left pending, and with another salt than before", async () => {
      const { stack } = fixture;
      const state = JSON.parse(await stack.pulumi("stack", "export", "--stack", "dev")) as {
        deployment: { resources: { urn: string }[]; pending_operations?: object[] };
      };
      const resource = state.deployment.resources.find(({ urn }) => urn.endsWith("::cutover-canary"));
      state.deployment.pending_operations = [{ resource, type: "updating" }];
      const path = join(stack.folder, "state.json");
      await writeFile(path, JSON.stringify(state));
      await stack.pulumi("stack", "import", "--stack", "dev", "--file", path);
      const before = /^encryptionsalt: .*$/m.exec(await fixture.fileText())?.[0];
      // Asks for the new passphrase, twice.
      const change = ["stack", "change-secrets-provider", "passphrase", "--stack", "dev", "--non-interactive"];
      await execa("pulumi", change, { cwd: stack.program, env: stack.variables, input: "test\ntest\n" });
      assert.notEqual(/^encryptionsalt: .*$/m.exec(await fixture.fileText())?.[0], before, "the salt is another one");
      const run = await stack.coordinator("rollback", "dev", "--reason", "error rate");
      assert.equal(run.code, 0, run.stdout + run.stderr);
      assert.match(run.stdout, new RegExp(`dev is back on ${r1}`));
      assert.match(await fixture.fileText(), new RegExp(`now: ${r1}, back: ${r2}`));
    });

    it("keeps the evidence beside the state, whole and compared with the registry", async () => {
      const run = await fixture.dev("evidence", "--json");
      assert.equal(run.code, 0, run.stdout + run.stderr);
      const { entries, faults } = JSON.parse(run.stdout) as {
        entries: { act: string; phase: string; notes: string[] }[];
        faults: string[];
      };
      assert.deepEqual(faults, []);
      assert.deepEqual(
        entries.map(({ act, phase }) => `${act} ${phase}`),
        [
          "onboarding ended",
          ...["promotion", "promotion", "rollback"].flatMap((act) => [`${act} begun`, `${act} ended`]),
        ],
      );
      assert.ok(entries.at(-1)?.notes.includes("error rate"));
    });
  });

/** Leaves half of a history entry behind, as a full disk or an interrupted copy does. */
async function cutHistory(url: string): Promise<void> {
  const before = { ...process.env };
  Object.assign(process.env, s3Credentials);
  const files = await openBackendFiles(url);
  try {
    assert.equal(
      await files?.create(".pulumi/history/release-coordinator/dev/dev-9.history.json", '{"kind": "upd'),
      true,
    );
  } finally {
    await files?.close();
    for (const key of Object.keys(s3Credentials))
      if (before[key] === undefined) delete process.env[key];
      else process.env[key] = before[key];
  }
}
