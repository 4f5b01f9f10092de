import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { withLock } from "../../../local/toolchain/cache-lock.ts";

const source = join(import.meta.dirname, "..", "..", "..", "local", "toolchain", "cache-lock.ts");

describe("withLock", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "rc-lock-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("lets one at a time work, and hands results and failures on", async () => {
    const file = join(folder, "new", "lock");
    let working = 0;
    const work = async (): Promise<number> => {
      assert.equal(++working, 1);
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      return working--;
    };
    assert.deepEqual(await Promise.all(Array.from({ length: 4 }, () => withLock(file, work))), [1, 1, 1, 1]);
    await assert.rejects(
      withLock(file, () => Promise.reject(new Error("broken"))),
      /broken/,
    );
    assert.equal(await withLock(file, work), 1);
  });

  it("is free again after kill -9 of the holder, who was waited for and seen", async () => {
    const file = join(folder, "lock");
    const script = `
      import { withLock } from ${JSON.stringify(source)};
      await withLock(${JSON.stringify(file)}, async () => { console.log("held"); await new Promise((r) => setTimeout(r, 600_000)); });`;
    const holder = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    assert.equal((await once(createInterface({ input: holder.stdout }), "line"))[0], "held");
    // Killed only once the other one has said that it waits: that is the proof that the lock was held.
    const result = await withLock(
      file,
      async () => "free",
      () => holder.kill("SIGKILL"),
    );
    assert.equal(result, "free");
    assert.equal(holder.killed, true);
  });
});
