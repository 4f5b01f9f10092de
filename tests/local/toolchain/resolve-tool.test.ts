import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildBinFolder } from "../../../local/toolchain/go-build.ts";
import { findVersion, resolveTool } from "../../../local/toolchain/resolve-tool.ts";
import type { ToolWays } from "../../../local/toolchain/resolve-tool.ts";
import { findBinFolders, toolBinFolder } from "../../../local/toolchain/tool.ts";
import type { Tool, ToolSource } from "../../../local/toolchain/tool.ts";

const tool: Tool = {
  name: "thing",
  version: "1.2.3",
  binaries: ["thing", "thing-plugin"],
  versionArguments: ["version"],
  accepts: ">=1.2.3 <2",
  download: { url: "https://downloads.invalid/thing.tar.gz", folder: "" },
  builds: [],
};

function waysThatLeadBy(...working: ToolSource[]): { ways: ToolWays; tried: ToolSource[] } {
  const tried: ToolSource[] = [];
  const way = (source: ToolSource) => async () => {
    tried.push(source);
    return working.includes(source) ? [`/${source}`] : undefined;
  };
  const byBuild = async (): Promise<string[]> => {
    tried.push("build");
    if (!working.includes("build")) throw new Error("does not compile");
    return ["/build"];
  };
  return { ways: { onPath: way("PATH"), inCache: way("cache"), byDownload: way("download"), byBuild }, tried };
}

describe("resolveTool", () => {
  const order: ToolSource[] = ["PATH", "cache", "download", "build"];
  for (const [index, source] of order.entries())
    it(`takes ${source} when nothing before it leads to the tool, and tries nothing after it`, async () => {
      const { ways, tried } = waysThatLeadBy(...order.slice(index));
      const resolved = await resolveTool(tool, undefined, ways);
      assert.equal(resolved.source, source);
      assert.deepEqual(resolved.binFolders, [`/${source}`]);
      assert.deepEqual(tried, order.slice(0, index + 1));
    });

  it("passes the failure of the last way on", async () => {
    await assert.rejects(resolveTool(tool, undefined, waysThatLeadBy().ways), /does not compile/);
  });
});

describe("a tool of several builds", () => {
  const name = `test-${randomBytes(4).toString("hex")}`;
  const builds = ["thing", "host"].map((binary) => ({
    name: `${name}-${binary}`,
    version: "1.2.3",
    package: "example.com/never-built",
    binary,
  }));
  const folders = [...builds.map(buildBinFolder), toolBinFolder({ ...tool, name })];
  after(async () => {
    const left = folders.flatMap((folder) => [dirname(folder), `${dirname(folder)}.lock`]);
    await Promise.all(left.map((path) => rm(path, { recursive: true, force: true })));
  });

  it("takes of each build what is its own, not what an earlier build of that name has left there", async () => {
    for (const build of builds) {
      await mkdir(buildBinFolder(build), { recursive: true });
      await writeFile(join(buildBinFolder(build), build.binary), build.binary);
    }
    await writeFile(join(folders[0] as string, "host"), "an old one");
    const binaries = ["thing", "host"] as const;
    const { source, binFolders } = await resolveTool({ ...tool, name, binaries, accepts: "<0", builds });
    assert.equal(source, "build");
    assert.equal(await readFile(join(binFolders[0] as string, "host"), "utf8"), "host");
  });
});

describe("what lies on PATH", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rc-tool-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function program(name: string, text: string): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, `#!/bin/sh\n${text}\n`);
    await chmod(path, 0o755);
    return path;
  }

  it("tells its version, however it words it", async () => {
    assert.equal(await findVersion(await program("a", "echo v3.250.0"), ["version"]), "3.250.0");
    assert.equal(
      await findVersion(await program("b", "echo 'Vault v1.21.1, built 2025-11-22T17:42:23Z (cgo)'"), []),
      "1.21.1",
    );
    assert.equal(await findVersion(await program("c", "echo v4.0.0-alpha.1"), []), "4.0.0-alpha.1");
  });

  it("has no version when it fails or says nothing of the kind", async () => {
    assert.equal(await findVersion(await program("a", "exit 1"), []), undefined);
    assert.equal(await findVersion(await program("b", "echo hello"), []), undefined);
    assert.equal(await findVersion(join(folder, "missing"), []), undefined);
  });

  it("counts only when every binary of the tool is there", async () => {
    await program("thing", "");
    assert.equal(findBinFolders(tool, [folder]), undefined);
    await program("thing-plugin", "");
    assert.deepEqual(findBinFolders(tool, ["/nowhere", folder]), [folder]);
  });
});
