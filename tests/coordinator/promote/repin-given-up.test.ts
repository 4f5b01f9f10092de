import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EnvironmentFacts } from "../../../coordinator/environment-facts.ts";
import { repinGivenUp } from "../../../coordinator/promote/repin-given-up.ts";
import { StackFile } from "../../../coordinator/stack-file.ts";
import { getRelease } from "../../../releases/catalog.ts";
import { pinOf } from "../../../releases/pin.ts";

const to = getRelease("r2");
const [r1, r2] = [pinOf(getRelease("r1")), pinOf(to)];

describe("a stack file after its release was given up", () => {
  let folder: string;
  let path: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "given-up-"));
    path = join(folder, "Pulumi.dev.yaml");
  });
  after(() => rm(folder, { recursive: true }));

  const pinned = (canary: string, general: string) =>
    `config:\n  release-coordinator:environment:\n    name: dev\n    pins:\n      canary: ${canary}\n      general: ${general}\n`;
  const forward = `{ now: ${r2}, back: ${r1} }`;
  const returned = `{ now: ${r1}, back: ${r2} }`;
  const hold = (changes: object = {}) => ({
    id: 1,
    environment: "dev",
    hashes: [r2.slice(3)],
    who: "traffic",
    why: "errors",
    since: new Date(),
    ...changes,
  });
  const facts = (holds: readonly object[], canary = r1): EnvironmentFacts =>
    ({
      holds,
      waves: new Map([
        ["canary", [{ id: "acme", pin: canary }]],
        ["general", [{ id: "borealis", pin: r1 }]],
      ]),
    }) as unknown as EnvironmentFacts;
  const turn = async (text: string, known: EnvironmentFacts) => {
    await writeFile(path, text);
    const lines = await repinGivenUp(await StackFile.read(path), to, known);
    return { text: await readFile(path, "utf8"), told: lines.join("\n") };
  };

  it("pins what runs, and tells it with the patch", async () => {
    const { text, told } = await turn(pinned(forward, forward), facts([hold()]));
    assert.equal(text, pinned(returned, returned));
    assert.match(told, new RegExp(`pins canary at ${r1}, general at ${r1} again`));
    assert.match(told, new RegExp(`-      canary: \\{ now: ${r2}`));
  });

  it("is written also when it comes to what it was before the promotion", async () => {
    await writeFile(path, pinned(returned, returned));
    const file = await StackFile.read(path);
    for (const wave of ["canary", "general"]) file.setPins(wave, { now: r2, back: r1 });
    await file.write();
    await repinGivenUp(file, to, facts([hold()]));
    assert.equal(await readFile(path, "utf8"), pinned(returned, returned));
  });

  it("keeps a wave whose tenants are still on the release, one without a way back, and one that the hold does not name", async () => {
    const behind = await turn(pinned(forward, forward), facts([hold()], r2));
    assert.equal(behind.text, pinned(forward, returned));
    assert.match(behind.told, /wave canary: tenants are still on/);
    const none = `{ now: ${r2}, back: none }`;
    assert.equal((await turn(pinned(none, forward), facts([hold()]))).text, pinned(none, returned));
    const one = await turn(pinned(forward, forward), facts([hold({ who: "cutover", wave: "general" })]));
    assert.equal(one.text, pinned(forward, returned));
  });

  it("is left alone by holds of people and by holds on another release", async () => {
    const text = pinned(forward, forward);
    for (const other of [hold({ who: "ana" }), hold({ hashes: ["000000000000"] })]) {
      const left = await turn(text, facts([other]));
      assert.deepEqual([left.text, left.told], [text, ""]);
    }
  });
});
