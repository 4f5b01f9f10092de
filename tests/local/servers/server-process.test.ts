import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProcess, startProcess, stopProcess, waitUntilReady } from "../../../local/servers/server-process.ts";
import type { ProcessArgs } from "../../../local/servers/server-process.ts";

describe("a server process", () => {
  let folder: string;
  let args: ProcessArgs;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rc-process-"));
    args = server("echo started; exec sleep 300");
  });
  afterEach(async () => {
    await stopProcess(args, { graceMs: 0 });
    await rm(folder, { recursive: true, force: true });
  });

  function server(script: string): ProcessArgs {
    // The second command keeps the shell, and with it the mark on its command line.
    return {
      pidFile: join(folder, "run", "server.pid"),
      logFile: join(folder, "log", "server.log"),
      inCommandLine: folder,
      command: "sh",
      arguments: ["-c", script.replace("exec ", ""), folder],
    };
  }
  const isLogged = (text: string) => async () => readFileSync(args.logFile, "utf8").includes(text);
  const ready = (text = "started") => ({ ...args, name: "the server", timeoutMs: 10_000, isReady: isLogged(text) });

  it("is found by its pid file, and gone with it after a stop", async () => {
    const pid = startProcess(args);
    await waitUntilReady(ready());
    assert.equal(findProcess(args), pid);
    assert.equal(await stopProcess(args), true);
    assert.equal(findProcess(args), undefined);
    assert.equal(existsSync(args.pidFile), false);
    assert.equal(await stopProcess(args), false);
  });

  it("is never mistaken for a stranger that got its pid", async () => {
    const stranger = spawn("sleep", ["300"]);
    try {
      await mkdir(join(folder, "run"), { recursive: true });
      await writeFile(args.pidFile, `${stranger.pid}\n`);
      assert.equal(findProcess(args), undefined);
      assert.equal(await stopProcess(args), false);
      assert.equal(stranger.exitCode, null);
      assert.doesNotThrow(() => process.kill(stranger.pid as number, 0));
    } finally {
      stranger.kill();
      await once(stranger, "exit");
    }
  });

  for (const content of ["", "abc", "-1", "0", "1", "999999999"])
    it(`is not found when its pid file says ${JSON.stringify(content)}`, async () => {
      await mkdir(join(folder, "run"), { recursive: true });
      await writeFile(args.pidFile, content);
      assert.equal(findProcess(args), undefined);
    });

  it("that ignores its signal is killed after the grace", async () => {
    args = server("trap '' TERM; echo started; while :; do sleep 0.05; done");
    startProcess(args);
    await waitUntilReady(ready());
    assert.equal(await stopProcess(args, { graceMs: 100 }), true);
    assert.equal(findProcess(args), undefined);
  });

  it("that ends while it starts is told with the end of its log", async () => {
    args = server("echo 'no space left'; sleep 0.1; exit 3");
    startProcess(args);
    await assert.rejects(waitUntilReady(ready("never")), /the server ended while starting[^]*no space left/);
  });

  it("that cannot be executed is told with the mend", () => {
    args = { ...args, command: join(folder, "missing") };
    assert.throws(() => startProcess(args), /missing.*make up/);
  });
});
