import assert from "node:assert/strict";
import { Progress } from "../../local/progress.ts";

describe("progress", () => {
  let lines: string[];
  let progress: Progress;
  beforeEach(() => {
    lines = [];
    progress = new Progress((line) => lines.push(line));
  });

  it("names a step when it starts and when it ends, and hands its result on", async () => {
    assert.equal(await progress.step("servers", async () => 7), 7);
    assert.equal(lines.length, 2);
    assert.match(lines[0] as string, /^\[ +\d+ s\] servers$/);
    assert.match(lines[1] as string, /^\[ +\d+ s\] {3}done: servers \(\d+\.\d s\)$/);
  });

  it("names a step that failed and passes its reason on", async () => {
    await assert.rejects(
      progress.step("images", () => Promise.reject(new Error("no space"))),
      /no space/,
    );
    assert.match(lines.at(-1) as string, /failed: images/);
  });

  it("indents every line of a table alike", () => {
    progress.say("a\nb");
    const [first, second] = (lines[0] as string).split("\n");
    assert.equal((first as string).indexOf("a"), (second as string).indexOf("b"));
  });
});
