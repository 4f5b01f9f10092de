import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { findCommit, findProgramCommit, programAuthors } from "../../coordinator/git.ts";

describe("the commit of the program", () => {
  let folder: string;
  const git = (...words: string[]) =>
    execa("git", ["-C", folder, "-c", "user.name=Ana", "-c", "user.email=ana@example.org", ...words]);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "git-"));
  });
  after(() => rm(folder, { recursive: true }));

  it("is unknown outside of a checkout, and has no authors there", async () => {
    assert.equal(await findProgramCommit(folder), undefined);
    assert.deepEqual(await programAuthors(folder), []);
  });

  it("stays when a commit only adds approvals, and is another after any other change", async () => {
    await git("init", "-q");
    await writeFile(join(folder, "index.ts"), "1");
    await git("add", ".");
    await git("commit", "-q", "-m", "program");
    const program = await findProgramCommit(folder);
    assert.equal(program, await findCommit(folder));
    await mkdir(join(folder, "approvals"));
    await writeFile(join(folder, "approvals/ben.json"), "{}");
    await git("add", ".");
    await git("commit", "-q", "-m", "approval", "--author", "Ben <ben@example.org>");
    assert.notEqual(await findCommit(folder), program);
    assert.equal(await findProgramCommit(folder), program);
    assert.deepEqual(await programAuthors(folder), ["ana@example.org", "ana"]);
    await writeFile(join(folder, "index.ts"), "2");
    await git("commit", "-q", "-a", "-m", "another");
    assert.notEqual(await findProgramCommit(folder), program);
  });
});
