import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import fc from "fast-check";
import { ApprovalFiles } from "../../../coordinator/approval/approval-files.ts";
import { judgeApprovals } from "../../../coordinator/approval/judge-approvals.ts";
import type { ApprovalQuestion, CheckedApproval } from "../../../coordinator/approval/judge-approvals.ts";
import { checkSignature, signApproval } from "../../../coordinator/approval/ssh-signature.ts";
import { parseApproval } from "../../../coordinator/approval/statement.ts";
import type { ApprovalStatement } from "../../../coordinator/approval/statement.ts";
import { runCommandLine } from "../../../coordinator/command-line.ts";
import { getRelease } from "../../../releases/catalog.ts";
import { pinOf } from "../../../releases/pin.ts";
import { stackText } from "../command-fixture.ts";

const digest = "5f0c2a91b7e4d388";
const release = pinOf(getRelease("r2"));
const statement: ApprovalStatement = {
  format: 1,
  environment: "dev",
  release,
  digest,
  rows: 100,
  tenants: 4,
  role: "security",
  who: "ben",
  at: "2027-01-18T09:00:00.000Z",
};
const question: ApprovalQuestion = {
  environment: "dev",
  release,
  digest,
  rows: 100,
  tenants: 4,
  authors: ["ana"],
  minimum: 1,
  roles: ["security"],
};
const good: CheckedApproval = { statement, fingerprint: "SHA256:ben", isPerson: true, hasRole: true };
const judge = (change: Partial<ApprovalQuestion>, ...approvals: CheckedApproval[]) =>
  judgeApprovals({ ...question, ...change }, approvals);

describe("signed approvals", function () {
  this.timeout(120_000);
  let folder: string;
  let files: ApprovalFiles;
  const key = (name: string) => join(folder, `${name}.key`);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "approvals-"));
    files = new ApprovalFiles(folder);
    await mkdir(join(folder, "approvals"));
    const lines: string[] = [];
    for (const [name, principals] of [
      ["ben", "ben,security"],
      ["cleo", "cleo,release-manager"],
      ["mallory", ""],
    ] as const) {
      await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key(name)]);
      if (principals !== "") lines.push(`${principals} ${await readFile(`${key(name)}.pub`, "utf8")}`);
    }
    await writeFile(files.allowedSigners, lines.join(""));
    await writeFile(join(folder, "Pulumi.yaml"), "name: release-coordinator\n");
    await writeFile(join(folder, "Pulumi.dev.yaml"), stackText);
  });
  after(() => rm(folder, { recursive: true }));

  async function approve(...words: string[]) {
    let stdout = "";
    let stderr = "";
    const terminal = {
      stdout: (text: string) => void (stdout += text),
      stderr: (text: string) => void (stderr += text),
    };
    const command = ["approve", "r2", "--env", "dev", "--digest", digest, "--rows", "100", "--tenants", "4", ...words];
    return { code: await runCommandLine(command, terminal, folder), stdout, stderr };
  }

  it("are written by the command, hold against the list of signers, and count", async () => {
    const run = await approve("--role", "security", "--as", "ben", "--key", key("ben"), "--json");
    assert.equal(run.code, 0, run.stdout + run.stderr);
    assert.equal(JSON.parse(run.stdout).path, `approvals/dev/${digest}/ben.json`);
    const [found] = await files.read("dev");
    assert.deepEqual([found?.isPerson, found?.hasRole, found?.statement.who], [true, true, "ben"]);
    const verdict = judge({}, ...(found ? [found] : []));
    assert.deepEqual([verdict.isApproved, verdict.by.map(({ who }) => who)], [true, ["ben"]]);
  });

  it("are refused, and nothing is written, for a key that is not listed for the person or the role", async () => {
    for (const [as, role, name, part] of [
      ["ben", "security", "mallory", /is not listed for ben and the role security/],
      ["ben", "release-manager", "ben", /is not listed for the role release-manager/],
      ["cleo", "security", "ben", /is not listed for cleo/],
    ] as const) {
      const run = await approve("--role", role, "--as", as, "--key", key(name));
      assert.equal(run.code, 2, run.stdout);
      assert.match(run.stdout, part);
    }
    assert.equal((await files.read("dev")).length, 1);
    const typed = await approve("--role", "security", "--key", key("ben"), "--rows", "many");
    assert.equal(typed.code, 1);
    assert.match(typed.stderr, /"many" is no count/);
  });

  it("do not survive an edit: of any field, of the signature, or of the key behind it", async () => {
    const signed = await signApproval(statement, key("ben"));
    assert.equal((await checkSignature(signed, files.allowedSigners)).isPerson, true);
    const edits: Partial<ApprovalStatement>[] = [
      { environment: "prod" },
      { release: "r3@000000000000" },
      { digest: "0".repeat(16) },
      { rows: 10_000 },
      { tenants: 400 },
      { role: "release-manager" },
      { who: "cleo" },
      { at: "2027-01-19T09:00:00.000Z" },
    ];
    for (const edit of edits) {
      const forged = { ...signed, statement: { ...statement, ...edit } };
      const found = await checkSignature(forged, files.allowedSigners);
      assert.deepEqual(
        [found.fingerprint, found.isPerson, found.hasRole],
        [undefined, false, false],
        JSON.stringify(edit),
      );
    }
    const stranger = await checkSignature(await signApproval(statement, key("mallory")), files.allowedSigners);
    assert.deepEqual([stranger.isPerson, stranger.hasRole], [false, false]);
    const empty = await checkSignature(signed, join(folder, "nowhere"));
    assert.equal(empty.isPerson, false, "without the list nobody is anybody");
  });

  it("are no approvals with fields too many, too few or of another kind", async () => {
    const signed = await signApproval(statement, key("ben"));
    const text = (change: object) => JSON.stringify({ ...signed, ...change });
    assert.deepEqual(parseApproval(text({}), "a.json"), signed);
    for (const bad of [
      "{",
      "[]",
      "null",
      text({ more: 1 }),
      text({ signature: "trust me" }),
      text({ statement: { ...statement, rows: -1 } }),
      text({ statement: { ...statement, rows: "100" } }),
      text({ statement: { ...statement, format: 2 } }),
      text({ statement: { ...statement, who: "b\nen" } }),
      text({ statement: { ...statement, extra: "x" } }),
    ])
      assert.throws(() => parseApproval(bad, "a.json"), /a\.json.*remove a\.json and approve again/s, bad);
  });

  it("are void when the change is another one, or has outgrown what was shown", () => {
    for (const [change, reason] of [
      [{ digest: "0".repeat(16) }, /it is for 5f0c2a91b7e4d388, and the preview is 0{16} now/],
      [{ environment: "prod" }, /it is for dev/],
      [{ release: "r3@000000000000" }, /it is for r2@/],
      [{ rows: 151 }, /100 rows were shown, it would move 151 now/],
      [{ tenants: 7 }, /4 tenants were shown, it would move 7 now/],
    ] as const) {
      const verdict = judge(change, good);
      assert.equal(verdict.isApproved, false);
      assert.match(verdict.reasons.join("\n"), reason);
    }
    assert.equal(judge({ rows: 150, tenants: 6 }, good).isApproved, true, "1.5 times is still what was shown");
  });

  it("count once for a person and once for a key, never for an author, and only in a role that is asked", () => {
    const other = (who: string, change: Partial<CheckedApproval> = {}): CheckedApproval => ({
      ...good,
      fingerprint: `SHA256:${who}`,
      ...change,
      statement: { ...statement, who, ...(change.statement ?? {}) },
    });
    assert.match(judge({ authors: ["ben"] }, good).reasons.join(), /nobody approves their own change/);
    assert.match(judge({ minimum: 2 }, good, good).reasons.join(), /ben has approved already/);
    assert.match(
      judge({ minimum: 2 }, good, other("cleo", { fingerprint: "SHA256:ben" })).reasons.join(),
      /with this name or this key/,
    );
    assert.equal(judge({ minimum: 2 }, good, other("cleo")).isApproved, true);
    assert.match(
      judge({ roles: ["release-manager"] }, good).reasons.join(),
      /security is not asked; asked are release-manager/,
    );
    const missing = judge({ minimum: 2, roles: ["security", "release-manager"] }, good, other("cleo"));
    assert.deepEqual([missing.isApproved, missing.reasons], [false, ["nobody approved as release-manager"]]);
    assert.match(judge({}, { ...good, fingerprint: undefined }).reasons.join(), /signature is not over what it says/);
  });

  it("never reach the quorum by order, repetition or what does not count", () => {
    const who = fc.constantFrom("ana", "ben", "cleo", "dora");
    const any = fc.record({ who, isPerson: fc.boolean(), isRight: fc.boolean(), rows: fc.constantFrom(10, 100) });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 8 }), fc.integer({ min: 1, max: 4 }), (list, minimum) => {
        const approvals = list.map((each): CheckedApproval => ({
          statement: { ...statement, who: each.who, rows: each.rows, digest: each.isRight ? digest : "0".repeat(16) },
          fingerprint: `SHA256:${each.who}`,
          isPerson: each.isPerson,
          hasRole: true,
        }));
        const sound = new Set(
          list
            .filter((each) => each.isPerson && each.isRight && each.rows === 100 && each.who !== "ana")
            .map((each) => each.who),
        );
        const verdict = judge({ minimum }, ...approvals);
        assert.equal(verdict.isApproved, sound.size >= minimum);
        assert.deepEqual(judge({ minimum }, ...approvals.toReversed()).isApproved, verdict.isApproved);
      }),
    );
  });
});
