import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { gitPatch } from "../../coordinator/patch.ts";
import { StackFile } from "../../coordinator/stack-file.ts";

const text = `# The laptop's environment.
config:
  release-coordinator:environment:
    name: dev # one stack
    waves:
      # canary goes first
      - { name: canary, selector: { tags: [canary] } }
      - name: general
        selector: { rest: true }
    pins:
      canary: { now: r1@9a0b11400000, back: none } # watched by ana
      general:
        now: r1@9a0b11400000
        back: none
    present: { vault: false, milvus: false }
    finalize:
      canary: [prompt-encryption]
encryptionsalt: v1:abc=
`;

describe("a stack file", () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "stack-file-"));
  });
  after(() => rm(folder, { recursive: true }));

  it("reads pins of every wave", () => {
    assert.deepEqual(new StackFile("x.yaml", text).pins(), {
      canary: { now: "r1@9a0b11400000", back: "none" },
      general: { now: "r1@9a0b11400000", back: "none" },
    });
  });

  it("keeps comments, order and layout when pins change", () => {
    const file = new StackFile("x.yaml", text);
    file.setPins("canary", { now: "r2@4f1c9e2a0b11", back: "r1@9a0b11400000" });
    file.addPresent("vault");
    const expected = text
      .replace(
        "canary: { now: r1@9a0b11400000, back: none }",
        "canary: { now: r2@4f1c9e2a0b11, back: r1@9a0b11400000 }",
      )
      .replace("vault: false", "vault: true");
    assert.equal(file.text(), expected);
  });

  it("keeps a layout without padding, as pulumi itself writes it", () => {
    const tight = text.replaceAll("{ ", "{").replaceAll(" }", "}");
    const file = new StackFile("x.yaml", tight);
    file.setPins("general", { now: "r2@4f1c9e2a0b11", back: "none" });
    assert.equal(file.text(), tight.replace("        now: r1@9a0b11400000", "        now: r2@4f1c9e2a0b11"));
  });

  it("names a mirror to finalize once, and takes the entry away again", () => {
    const file = new StackFile("x.yaml", text);
    file.addFinalize("canary", "prompt-encryption");
    assert.equal(file.text(), text);
    file.addFinalize("general", "prompt-encryption");
    const line = "      canary: [prompt-encryption]\n";
    assert.equal(file.text(), text.replace(line, `${line}      general: [prompt-encryption]\n`));
    file.removeFinalize("general");
    assert.equal(file.text(), text);
    file.removeFinalize("canary");
    assert.equal(file.text(), text.replace(`    finalize:\n${line}`, ""));
    file.addFinalize("general", "prompt-encryption");
    assert.deepEqual(file.finalize(), { general: ["prompt-encryption"] });
  });

  it("writes nothing when nothing was edited, whatever the bytes are", async () => {
    const path = join(folder, "untouched.yaml");
    const odd = text.replace("name: dev", "name:    'dev'").replace("[canary]", "[  canary,]") + "\n\n# end";
    await writeFile(path, odd);
    const file = await StackFile.read(path);
    file.setPins("canary", { now: "r1@9a0b11400000", back: "none" });
    file.removeFinalize("nobody");
    await file.write();
    assert.equal(await readFile(path, "utf8"), odd);
  });

  it("reads back exactly the pins that were written", async () => {
    const pin = fc
      .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 2 ** 48 - 1 }))
      .map(([number, hash]) => `r${number}@${hash.toString(16).padStart(12, "0")}`);
    await fc.assert(
      fc.asyncProperty(pin, fc.oneof(pin, fc.constant("none")), async (now, back) => {
        const path = join(folder, "round.yaml");
        await writeFile(path, text);
        const file = await StackFile.read(path);
        file.setPins("canary", { now, back });
        await file.write();
        const again = await StackFile.read(path);
        assert.deepEqual(again.pins()["canary"], { now, back });
        assert.deepEqual(again.pins()["general"], { now: "r1@9a0b11400000", back: "none" });
      }),
      { numRuns: 50 },
    );
  });

  it("refuses a file without the environment, a broken one and a missing one", async () => {
    assert.throws(() => new StackFile("x.yaml", "config: {}\n"), /x\.yaml: config has no object/);
    assert.throws(() => new StackFile("x.yaml", "config: {a: [\n"), /x\.yaml: /);
    await assert.rejects(StackFile.read(join(folder, "absent.yaml")), /does not exist; name an environment/);
  });

  it("prints its edit as a patch that git applies", async () => {
    const file = new StackFile("Pulumi.dev.yaml", text);
    file.setPins("general", { now: "r2@4f1c9e2a0b11", back: "r1@9a0b11400000" });
    const patch = await gitPatch({ path: "Pulumi.dev.yaml", before: file.original, after: file.text() });
    assert.match(patch, /^--- a\/Pulumi\.dev\.yaml$/m);
    assert.match(patch, /^\+\+\+ b\/Pulumi\.dev\.yaml$/m);
    assert.match(patch, /^\+        now: r2@4f1c9e2a0b11$/m);
    assert.equal(await gitPatch({ path: "x", before: text, after: text }), "");
  });
});
