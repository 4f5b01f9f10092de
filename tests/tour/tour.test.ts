import assert from "node:assert/strict";
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { execa } from "execa";
import { runTour, type TourEntry } from "../../local/tour/tour.ts";
import { stopTraffic } from "../../local/tour/traffic.ts";
import { workflowCommands, workflowFiles } from "../docs/workflow-commands.ts";
import { readmeCommands } from "./readme-commands.ts";

/** The main job on a platform of its own: free ports, own folders, gone afterwards. */
describe("the tour, short", function () {
  this.timeout(20 * 60_000);
  let folder: string;
  let guard: ChildProcessByStdio<Writable, Readable, null>;
  let environment: Record<string, string>;
  let entries: TourEntry[];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "release-coordinator-tour-"));
    guard = spawn(process.execPath, [join(import.meta.dirname, "tour-guard.ts"), folder], {
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    const lines = createInterface({ input: guard.stdout });
    environment = await Promise.race([
      once(lines, "line").then(([line]) => JSON.parse(line as string) as Record<string, string>),
      once(guard, "exit").then(([code]) => {
        throw new Error(`the platform of the tour did not start (exit code ${String(code)}); the reason stands above`);
      }),
    ]);
    entries = await runTour({ homeFolder: folder, environment }, { rows: 4_000, operations: 60 });
  });

  after(async () => {
    await stopTraffic({ home: folder });
    const ended = once(guard, "exit");
    guard.stdin.end();
    await ended;
    await rm(folder, { recursive: true, force: true });
  });

  it("goes to R1, to R2, back, forward, past the point of no instant return, back and forward", () => {
    assert.deepEqual(
      entries.map((entry) => [entry.step, entry.ok]),
      [
        "r1",
        "promote",
        "checks",
        "rollback",
        "promote-again",
        "finalize",
        "rollback-after-finalize",
        "promote-to-stay",
        "steady",
      ].map((step) => [step, true]),
    );
  });

  it("writes what it did to tour.json, with checks in every step", async () => {
    const written = JSON.parse(await readFile(join(folder, "tour.json"), "utf8")) as TourEntry[];
    assert.deepEqual(written, entries);
    for (const entry of written) assert.ok(entry.checks.length > 0, `${entry.step} checked nothing`);
  });

  it("is done in moments the second time, and checks the end again", async () => {
    const second = await runTour({ homeFolder: folder, environment }, { rows: 4_000, operations: 60 });
    assert.deepEqual(
      second.map((entry) => entry.step),
      entries.map((entry) => entry.step),
    );
    assert.ok(second.every((entry) => entry.ok));
  });

  it("runs every command of the README's day as it stands there", async () => {
    const commands = readmeCommands();
    assert.equal(commands.length, 5);
    for (const line of commands) {
      // The tour has ended at r2: promoting to it again is done already, and everything else must work as well.
      const [file = "", ...args] = line.split(/\s+/);
      const { exitCode, all } = await execa(file, args, {
        env: environment,
        reject: false,
        all: true,
        stdin: "ignore",
      });
      assert.equal(exitCode, 0, `\`${line}\` ended with ${exitCode}:\n${all}`);
    }
  });

  for (const [name, file] of Object.entries(workflowFiles))
    it(`runs the steps of the workflow to copy, ${name}, that ask a platform`, async () => {
      const values = { "matrix.environment": "dev", "runner.temp": folder };
      const steps = workflowCommands(file, values).filter((step) => step.needsPlatform);
      assert.ok(steps.length > 0);
      for (const step of steps) {
        const ran = await execa("bash", ["-e", "-o", "pipefail", "-c", step.run], {
          env: { ...step.env, ...environment, RUNNER_TEMP: folder, GITHUB_ENV: join(folder, "github-env") },
          reject: false,
          all: true,
          stdin: "ignore",
        });
        assert.equal(ran.exitCode, 0, `${file}, step "${step.name}", ended with ${ran.exitCode}:\n${ran.all}`);
      }
    });

  it("refuses a rollback to a release that never ran, and changes nothing", async () => {
    const state = join(folder, "backend/.pulumi/stacks/release-coordinator/dev.json");
    const before = await readFile(state, "utf8");
    const { exitCode, stdout } = await execa(
      "node",
      ["coordinator/main.ts", "rollback", "dev", "--to", "r9", "--json"],
      {
        env: environment,
        reject: false,
        stdin: "ignore",
      },
    );
    assert.equal(exitCode, 2);
    assert.match(stdout, /r9/);
    assert.equal(await readFile(state, "utf8"), before);
  });

  it("leaves no key and no plaintext in the state", async () => {
    const state = await readFile(join(folder, "backend/.pulumi/stacks/release-coordinator/dev.json"), "utf8");
    const operator = new URL(environment["RC_POSTGRES_URL"] ?? "").password;
    for (const secret of [operator, environment["RC_VAULT_TOKEN"] ?? ""]) {
      assert.ok(secret.length > 8);
      assert.ok(!state.includes(secret), "a credential of an operator stands in the state in clear");
    }
    assert.doesNotMatch(state, /postgresql:\/\/platform_r\d:[^@\s]+@/);
  });
});
