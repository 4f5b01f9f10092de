import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installPlugins } from "../../local/plugins/install.ts";
import { ProgramStack } from "./program-stack.ts";

describe("installation of the provider plugins", function () {
  this.timeout(120_000);
  let stack: ProgramStack;

  before(async () => {
    stack = await ProgramStack.create();
  });

  after(async () => stack.remove());

  it("brings the SDKs' own versions and says where each came from", async () => {
    const installed = await installPlugins({ env: stack.env });
    for (const { name, version, source } of installed) {
      const sdk = JSON.parse(await readFile(join("node_modules", "@pulumi", name, "package.json"), "utf8")) as {
        version: string;
      };
      assert.equal(version, sdk.version);
      assert.ok(source === "official" || source === "stand-in");
    }
    assert.deepEqual(
      installed.map(({ name }) => name),
      ["random", "postgresql", "vault", "docker"],
    );
  });

  it("installs a stand-in anew when its sources changed, and leaves it alone otherwise", async () => {
    const [random] = await installPlugins({ env: stack.env });
    if (random?.source === "official") return;
    const mark = join(
      stack.env["PULUMI_HOME"] as string,
      "plugins",
      `resource-random-v${random?.version}`,
      "stand-in.json",
    );
    const before = await readFile(mark, "utf8");
    await writeFile(mark, JSON.stringify({ hash: "of other sources" }));
    await installPlugins({ env: stack.env });
    assert.equal(await readFile(mark, "utf8"), before);
  });

  it("leaves an official plugin alone", async () => {
    const [random] = await installPlugins({ env: stack.env });
    const folder = join(stack.env["PULUMI_HOME"] as string, "plugins", `resource-random-v${random?.version}`);
    await rm(join(folder, "stand-in.json"), { force: true });
    const [again] = await installPlugins({ env: stack.env });
    assert.equal(again?.source, "official");
  });

  it("makes no stand-in of a plugin on PATH, and the engine runs that one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rc-ambient-"));
    const ambient = await ProgramStack.create();
    try {
      const calls = join(folder, "calls");
      const script = `#!/bin/sh\necho called >> ${calls}\nexit 7\n`;
      await writeFile(join(folder, "pulumi-resource-random"), script, { mode: 0o755 });
      ambient.env["PATH"] = `${folder}:${ambient.env["PATH"]}`;
      const [random] = await installPlugins({ env: ambient.env });
      assert.deepEqual([random?.name, random?.source], ["random", "official"]);
      const run = await ambient.up(`
        import { RandomId } from "@pulumi/random/randomId.js";
        new RandomId("id", { byteLength: 4 });
      `);
      assert.notEqual(run.exitCode, 0, "what is on PATH here is no plugin");
      assert.match(await readFile(calls, "utf8"), /called/, run.text);
    } finally {
      await ambient.remove();
      await rm(folder, { recursive: true });
    }
  });

  it("names what is missing and the mend", async () => {
    await assert.rejects(installPlugins({ env: {} }), /PULUMI_HOME is not set; mend: source \.local\/env/);
    const home = await mkdtemp(join(tmpdir(), "rc-plugins-"));
    try {
      await assert.rejects(
        installPlugins({ env: { PULUMI_HOME: home, PATH: "/nowhere" } }),
        /pulumi is not on PATH; mend/,
      );
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});
