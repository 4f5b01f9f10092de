import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";

const source = join(import.meta.dirname, "..", "..", "local", "interruption.ts");

describe("an interruption", () => {
  /** A process with two steps that each end when a line comes in. */
  function start() {
    const script = `
      import { Interruption } from ${JSON.stringify(source)};
      import { once } from "node:events";
      const interruption = new Interruption((text) => console.log(text));
      for (const step of ["first", "second"]) {
        try { interruption.throwIfAsked(); } catch (error) { console.log(error.message); process.exit(3); }
        console.log(step);
        await once(process.stdin, "data");
      }
      process.exit(0);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return { child, next: async () => (await lines.next()).value as string, ended: once(child, "exit") };
  }

  it("lets the step end and stops before the next one", async () => {
    const { child, next, ended } = start();
    assert.equal(await next(), "first");
    child.kill("SIGINT");
    assert.match(await next(), /stopping after this step/);
    child.stdin.write("\n");
    assert.match(await next(), /^interrupted; .*`make up` goes on/);
    assert.equal((await ended)[0], 3);
  });

  it("stops at once the second time", async () => {
    const { child, next, ended } = start();
    assert.equal(await next(), "first");
    child.kill("SIGINT");
    await next();
    child.kill("SIGINT");
    assert.equal((await ended)[0], 130);
  });

  it("changes nothing when nobody asks", async () => {
    const { child, next, ended } = start();
    assert.equal(await next(), "first");
    child.stdin.write("\n");
    assert.equal(await next(), "second");
    child.stdin.write("\n");
    assert.equal((await ended)[0], 0);
  });
});
