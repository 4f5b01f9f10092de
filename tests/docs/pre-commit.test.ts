import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { repositoryFolder } from "../../local/folders.ts";

const hook = ".githooks/pre-commit";

/** A checkout with one library folder, borrowed from ours, and the hook enabled as its first lines say. */
describe("the pre-commit hook", function () {
  this.timeout(60_000);
  let folder: string;
  const git = (...args: string[]) =>
    execa("git", ["-c", "user.name=ana", "-c", "user.email=ana@example.org", ...args], {
      cwd: folder,
      reject: false,
      all: true,
    });
  const commit = async (file: string, text: string) => {
    await writeFile(join(folder, file), text);
    await git("add", "--all");
    return git("commit", "--message", "a change");
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "pre-commit-"));
    await mkdir(join(folder, "node_modules"));
    for (const name of [
      ".bin",
      ".package-lock.json",
      "typescript",
      "typescript-eslint",
      "eslint",
      "prettier",
      "@types",
    ])
      await symlink(join(repositoryFolder, "node_modules", name), join(folder, "node_modules", name));
    await mkdir(join(folder, ".githooks"));
    await cp(join(repositoryFolder, hook), join(folder, hook));
    await writeFile(join(folder, ".gitignore"), "node_modules/\n");
    await writeFile(join(folder, "package.json"), `{ "type": "module", "prettier": { "printWidth": 120 } }\n`);
    await writeFile(
      join(folder, "eslint.config.js"),
      `export default [{ files: ["**/*.js"], rules: { eqeqeq: "error" } }, { ignores: ["**/*.ts"] }];\n`,
    );
    const compilerOptions = { strict: true, noEmit: true, types: [], target: "es2024", module: "nodenext" };
    await writeFile(
      join(folder, "tsconfig.json"),
      `${JSON.stringify({ compilerOptions, include: ["*.ts"] }, undefined, 2)}\n`,
    );
    await execa("prettier", ["--write", "package.json", "tsconfig.json", "eslint.config.js"], { cwd: folder });
    await git("init", "--quiet");
    await git("config", "core.hooksPath", ".githooks");
    const { exitCode, all } = await git("commit", "--allow-empty", "--message", "nothing");
    assert.equal(exitCode, 0, all);
  });
  after(() => rm(folder, { recursive: true }));

  it("is tracked as a program", async () => {
    const { mode } = await stat(join(repositoryFolder, hook));
    assert.equal(mode & 0o111, 0o111);
  });

  it("lets a clean commit pass", async () => {
    const { exitCode, all } = await commit("sound.ts", "export const one: number = 1;\n");
    assert.equal(exitCode, 0, all);
  });

  it("stops what is not formatted, what the linter refuses, and what has a wrong type", async () => {
    for (const [file, text, said] of [
      ["long.md", "*   a\n*   b\n", /pre-commit: prettier/],
      ["loose.js", "export const same = (a, b) => a == b;\n", /pre-commit: eslint/],
      ["wrong.ts", `export const one: number = "1";\n`, /pre-commit: tsc/],
    ] as const) {
      const { exitCode, all } = await commit(file, text);
      assert.notEqual(exitCode, 0, file);
      assert.match(all ?? "", said);
      await git("rm", "--quiet", "--force", file);
    }
  });

  it("looks at names with spaces, and not at files that are gone", async () => {
    assert.notEqual((await commit("two words.md", "*   a\n")).exitCode, 0);
    assert.equal((await commit("two words.md", "- a\n")).exitCode, 0);
    await git("rm", "--quiet", "two words.md");
    const { exitCode, all } = await git("commit", "--message", "one less");
    assert.equal(exitCode, 0, all);
  });
});
