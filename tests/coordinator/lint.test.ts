import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommandLine } from "../../coordinator/command-line.ts";
import { allPublished } from "../../releases/published.ts";

async function lint(folder: string, ...words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = "";
  let stderr = "";
  const terminal = { stdout: (text: string) => void (stdout += text), stderr: (text: string) => void (stderr += text) };
  const code = await runCommandLine(["lint", ...words], terminal, folder);
  return { code, stdout, stderr };
}

describe("coordinator lint against the main branch", () => {
  let folder: string;
  const git = (...words: string[]) =>
    execFileSync("git", ["-C", folder, "-c", "user.name=ana", "-c", "user.email=ana@example.com", ...words], {
      stdio: ["ignore", "pipe", "pipe"],
    });
  const commit = async (list: unknown) => {
    await writeFile(join(folder, "releases", "published.json"), JSON.stringify(list));
    git("add", ".");
    git("commit", "--quiet", "--allow-empty", "-m", "list");
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "lint-"));
    await mkdir(join(folder, "releases"));
    await writeFile(join(folder, "Pulumi.yaml"), "name: release-coordinator\nruntime: nodejs\n");
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("says that it compared nothing outside of a Git checkout, and fails for a branch that was asked for", async () => {
    const run = await lint(folder);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, /was not compared: .*git fetch origin main/);
    const named = await lint(folder, "--main", "origin/release");
    assert.equal(named.code, 1);
    assert.match(named.stderr, /git has no origin\/release:releases\/published\.json/);
  });

  it("is content while this checkout holds all that main published", async () => {
    git("init", "--quiet", "-b", "main");
    await commit(allPublished());
    const run = await lint(folder, "--json");
    assert.equal(run.code, 0, run.stderr);
    assert.equal(JSON.parse(run.stdout).main, "main");
  });

  it("refuses what main published and this checkout lost", async () => {
    git("init", "--quiet", "-b", "main");
    await commit([...allPublished(), { id: "r9", hash: "a".repeat(64) }]);
    const run = await lint(folder);
    assert.equal(run.code, 1, run.stdout);
    assert.match(run.stderr, /releases\/published\.json has 1 fault/);
    assert.match(run.stderr, /as on the main branch: the list is append-only/);
    assert.match(run.stderr, /git checkout main -- releases\/published\.json/);
  });

  it("takes the shared branch before the local one", async () => {
    git("init", "--quiet", "-b", "main");
    await commit([{ id: "r9", hash: "a".repeat(64) }]);
    git("update-ref", "refs/remotes/origin/main", "HEAD");
    await commit(allPublished());
    assert.equal(JSON.parse((await lint(folder, "--json")).stdout).main, "origin/main");
    assert.equal((await lint(folder, "--main", "main")).code, 0);
  });

  it("reads a branch without a list as one that published nothing", async () => {
    git("init", "--quiet", "-b", "main");
    git("commit", "--quiet", "--allow-empty", "-m", "empty");
    assert.equal((await lint(folder)).code, 0);
  });
});
