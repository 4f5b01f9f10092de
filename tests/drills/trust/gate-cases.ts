import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommandLine } from "../../../coordinator/command-line.ts";
import { gate, verdictOfGates } from "../../../coordinator/gate/gate.ts";
import { withOverrides } from "../../../coordinator/gate/judge-gates.ts";
import { servedSince, verifiedSince } from "../../../coordinator/gate/served-since.ts";
import { StackFile } from "../../../coordinator/stack-file.ts";
import { rollback } from "../../../releases/rules.ts";
import { getRelease } from "../../../releases/catalog.ts";
import { mayChangeAt } from "../../../releases/window.ts";
import { stackText } from "../../coordinator/command-fixture.ts";
import { factsOf, MemoryFiles } from "../../coordinator/evidence/evidence-fixture.ts";
import type { DrillCase } from "../drill.ts";

const r2 = "r2@222222222222";

/** Runs a command in a project of its own, without servers and without a backend. */
async function command(...words: string[]): Promise<{ code: number; output: string; file: string }> {
  const folder = await mkdtemp(join(tmpdir(), "trust-drill-"));
  try {
    await writeFile(join(folder, "Pulumi.yaml"), "name: release-coordinator\n");
    await writeFile(join(folder, "Pulumi.dev.yaml"), stackText);
    let output = "";
    const terminal = {
      stdout: (text: string) => void (output += text),
      stderr: (text: string) => void (output += text),
    };
    const code = await runCommandLine(words, terminal, folder);
    return { code, output, file: await readFile(join(folder, "Pulumi.dev.yaml"), "utf8") };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** What a command line refuses before it looks at anything. */
function refusedWords(title: string, words: readonly string[], reason: RegExp): DrillCase {
  return {
    title,
    async run() {
      const { code, output, file } = await command(...words);
      assert.equal(code, 1, output);
      assert.match(output, reason);
      assert.equal(file, stackText);
    },
  };
}

const approve = [
  "approve",
  "r2",
  "--env",
  "dev",
  "--rows",
  "1",
  "--tenants",
  "1",
  "--role",
  "security",
  "--key",
  "nokey",
];

export const gateCases: readonly DrillCase[] = [
  refusedWords("an approval of a digest that is none", [...approve, "--digest", "$(rm -rf)"], /is no approval digest/),
  refusedWords(
    "an approval of more rows than can be counted",
    [...approve, "--digest", "5f0c2a91b7e4d388", "--rows", "9".repeat(30)],
    /is no count/,
  ),
  refusedWords(
    "evidence since a time that is none",
    ["evidence", "--env", "dev", "--since", "yesterday"],
    /"yesterday" is no time; allowed/,
  ),
  refusedWords(
    "evidence compared with an end that is none",
    ["evidence", "--env", "dev", "--expect", "12"],
    /is no end of a chain/,
  ),
  refusedWords("an environment whose name is a path", ["status", "--env", "../prod"], /is no environment name/),
  {
    title: "an override without a reason, of a gate that is not there, and of a rule",
    async run() {
      const window = gate({ id: "window", title: "t", outcome: "needs-human", evidence: "shut", canOverride: true });
      const rules = gate({ id: "rules", title: "t", outcome: "no-go", evidence: "r1 is in the way" });
      assert.throws(
        () => withOverrides([window, rules], { rules: "hurry" }, "ana"),
        /nobody|no gate that a person may override/,
      );
      assert.throws(
        () => withOverrides([window, rules], { windows: "hurry" }, "ana"),
        /is no gate here; allowed are window/,
      );
      const decided = withOverrides([window, rules], { window: "hurry" }, "ana");
      assert.equal(verdictOfGates(decided).outcome, "no-go", "the rule still stands");
    },
  },
  {
    title: "a freeze inside of a window that is open: what denies wins, and a rollback asks neither",
    async run() {
      const windows = ["mon-sun 00:00-24:00 UTC", "deny 2027-12-20 to 2028-01-02 UTC"];
      assert.equal(mayChangeAt(windows, new Date("2027-12-25T03:12:00Z")), false);
      const back = rollback(getRelease("r2"), getRelease("r1"), []);
      assert.equal(back.outcome, "go");
    },
  },
  {
    title: "a soak that somebody begins by a date in the future",
    async run() {
      const files = new MemoryFiles();
      const future = new Date("2099-01-01T00:00:00Z");
      await files
        .log()
        .append(factsOf({ to: { canary: { now: r2, back: "none" } }, verified: [r2] }), undefined, future);
      const { entries } = await files.log().read();
      assert.deepEqual(servedSince(entries, "canary", r2), future, "it ends later, never earlier");
      assert.deepEqual(verifiedSince(entries, r2), future);
    },
  },
  {
    title: "a verification that began and never ended proves nothing",
    async run() {
      const files = new MemoryFiles();
      await files.log().append(factsOf({ phase: "begun", verified: [r2] }));
      assert.equal(verifiedSince((await files.log().read()).entries, r2), undefined);
    },
  },
  {
    title: "a promotion that ended badly soaks nobody",
    async run() {
      const files = new MemoryFiles();
      await files.log().append(factsOf({ to: { canary: { now: r2, back: "none" } }, outcome: "error" }));
      assert.equal(servedSince((await files.log().read()).entries, "canary", r2), undefined);
    },
  },
  {
    title: "two people in one stack file: the second one's edit is not overwritten",
    async run(_stage, random) {
      const folder = await mkdtemp(join(tmpdir(), "trust-drill-"));
      try {
        const path = join(folder, "Pulumi.dev.yaml");
        await writeFile(path, stackText);
        const [ana, ben] = [await StackFile.read(path), await StackFile.read(path)];
        const pin = `r2@${String(random.below(1e9)).padStart(12, "0")}`;
        ben.setPins("canary", { now: pin, back: "none" });
        await ben.write();
        ana.addPresent("vault");
        await assert.rejects(ana.write(), /was changed by somebody else meanwhile; nothing was written/);
        assert.match(await readFile(path, "utf8"), new RegExp(pin));
        ben.addPresent("vault");
        await ben.write();
      } finally {
        await rm(folder, { recursive: true });
      }
    },
  },
];
