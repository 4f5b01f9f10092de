import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { buildBinFolder, buildGo } from "../../../local/toolchain/go-build.ts";
import type { GoBuild } from "../../../local/toolchain/go-build.ts";

describe("buildGo", () => {
  let build: GoBuild;
  beforeEach(async () => {
    const moduleFolder = await mkdtemp(join(tmpdir(), "rc-go-"));
    await writeFile(join(moduleFolder, "go.mod"), "module example.com/hello\n\ngo 1.21\n");
    await writeFile(
      join(moduleFolder, "main.go"),
      'package main\n\nvar Version = "none"\n\nfunc main() { println(Version) }\n',
    );
    const name = `test-${randomBytes(4).toString("hex")}`;
    build = {
      name,
      version: "1.0.0",
      moduleFolder,
      package: "example.com/hello",
      binary: "hello",
      linkerFlags: "-X main.Version=1.0.0",
    };
  });
  afterEach(async () => {
    const folder = dirname(buildBinFolder(build));
    await rm(folder, { recursive: true, force: true });
    await rm(`${folder}.lock`, { force: true });
    await rm(build.moduleFolder as string, { recursive: true, force: true });
  });

  it("builds with the linker flags, and not a second time", async () => {
    const progress: string[] = [];
    await Promise.all([buildGo(build, (text) => progress.push(text)), buildGo(build, (text) => progress.push(text))]);
    const binary = join(buildBinFolder(build), "hello");
    const { stderr } = await execa(binary);
    assert.equal(stderr, "1.0.0");
    assert.ok(progress.some((text) => text.startsWith("hello: compiled 1 packages")));
    const before = (await stat(binary)).mtimeMs;
    await buildGo(build, assert.fail);
    assert.equal((await stat(binary)).mtimeMs, before);
  });

  it("says what the compiler says and leaves nothing that looks finished", async () => {
    await writeFile(join(build.moduleFolder as string, "main.go"), "package main\n\nfunc main() { missing() }\n");
    await assert.rejects(
      buildGo(build, () => undefined),
      /undefined: missing/,
    );
    assert.equal(existsSync(join(buildBinFolder(build), "hello")), false);
    assert.deepEqual(await readdir(buildBinFolder(build)), []);
  });

  it("builds with files that the main package embeds, and leaves its folder as it was", async () => {
    const folder = build.moduleFolder as string;
    await writeFile(
      join(folder, "main.go"),
      'package main\n\nimport _ "embed"\n\n//go:embed data.json\nvar data string\n\nfunc main() { println(data) }\n',
    );
    const shipped = await mkdtemp(join(tmpdir(), "rc-go-"));
    await writeFile(join(shipped, "go.mod"), "module example.com/shipped\n\ngo 1.21\n");
    await mkdir(join(shipped, "inside"));
    await writeFile(join(shipped, "inside", "data.json"), "{}", { mode: 0o444 });
    await writeFile(
      join(folder, "go.mod"),
      `module example.com/hello\n\ngo 1.21\n\nrequire example.com/shipped v0.0.0\n\nreplace example.com/shipped => ${shipped}\n`,
    );
    try {
      const embeds = { module: "example.com/shipped", paths: ["inside/data.json"] };
      await buildGo({ ...build, package: ".", embeds }, () => undefined);
      assert.equal((await execa(join(buildBinFolder(build), "hello"))).stderr, "{}");
      assert.deepEqual((await readdir(folder)).sort(), ["go.mod", "main.go"]);
    } finally {
      await rm(shipped, { recursive: true, force: true });
    }
  });

  it("copies scripts beside the binary and makes them executable", async () => {
    await writeFile(join(build.moduleFolder as string, "launcher"), "#!/bin/sh\necho launched\n", { mode: 0o444 });
    await buildGo({ ...build, scripts: [{ module: "example.com/hello", paths: ["launcher"] }] }, () => undefined);
    assert.equal((await execa(join(buildBinFolder(build), "launcher"))).stdout, "launched");
  });
});
