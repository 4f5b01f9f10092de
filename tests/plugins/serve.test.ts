import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { repositoryFolder } from "../../local/folders.ts";

const serve = join(repositoryFolder, "local", "plugins", "serve.ts");

describe("a plugin's process", function () {
  this.timeout(60_000);

  it("ends by itself when the engine that started it is killed", async () => {
    const engine = spawn("sh", ["-c", `"$0" "$1" random 0.0.0 & echo $!; wait`, process.execPath, serve]);
    const lines = createInterface({ input: engine.stdout })[Symbol.asyncIterator]();
    const pid = Number((await lines.next()).value);
    assert.match(String((await lines.next()).value), /^\d+$/);
    assert.ok(isRunning(pid));
    engine.kill("SIGKILL");
    while (isRunning(pid)) await sleep(100);
  });

  it("says which stand-ins there are when asked for another", async () => {
    const other = spawn(process.execPath, [serve, "aws", "1.0.0"]);
    let said = "";
    other.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(other, "close")) as [number];
    assert.equal(code, 1);
    assert.match(said, /no stand-in of a plugin named "aws"; there are random, postgresql, vault, docker/);
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
