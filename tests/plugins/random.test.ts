import assert from "node:assert/strict";
import { bcryptHash } from "../../local/plugins/random/bcrypt.ts";
import { faultsOfState } from "./official-sdk.ts";
import { ProgramStack } from "./program-stack.ts";

const program = (length: number, prefix = "rc-"): string => `
  import * as random from "@pulumi/random";
  const password = new random.RandomPassword("password", {
    length: ${length}, minUpper: 2, minNumeric: 3, minSpecial: 4, overrideSpecial: "_-",
  });
  const id = new random.RandomId("id", { byteLength: 8, prefix: "${prefix}" });
  export const result = password.result;
  export const hash = password.bcryptHash;
  export const hex = id.hex;
  export const dec = id.dec;
`;

describe("stand-in of the random plugin", function () {
  this.timeout(120_000);
  let stack: ProgramStack;

  before(async () => {
    stack = await ProgramStack.create();
  });

  after(async () => {
    await stack.destroy();
    await stack.remove();
  });

  it("hashes as other implementations of bcrypt do", () => {
    // From libxcrypt: crypt("U*U", "$2a$10$......................").
    const hash = bcryptHash("U*U", new Uint8Array(16));
    assert.equal(hash, "$2a$10$....................../69/0hFCo.JX/rExC31MSczGWcPlHPe");
  });

  it("makes values, keeps them in the next update and after a refresh, and replaces them when an input changes", async () => {
    const first = await stack.up(program(24));
    assert.deepEqual(first.summary, { create: 3 }, first.text);
    const made = await stack.outputs();
    const result = String(made["result"]);
    assert.equal(result.length, 24);
    assert.ok((result.match(/[A-Z]/g) ?? []).length >= 2, result);
    assert.ok((result.match(/[0-9]/g) ?? []).length >= 3, result);
    assert.ok((result.match(/[_-]/g) ?? []).length >= 4, result);
    assert.match(result, /^[A-Za-z0-9_-]+$/);
    assert.match(String(made["hash"]), /^\$2a\$10\$/);
    const hex = String(made["hex"]);
    assert.match(hex, /^rc-[0-9a-f]{16}$/);
    assert.equal(made["dec"], `rc-${BigInt(`0x${hex.slice(3)}`)}`);

    assert.deepEqual((await stack.up(program(24))).summary, { same: 3 });
    assert.deepEqual((await stack.refresh()).summary, { same: 3 });
    assert.deepEqual(await stack.outputs(), made);

    const replaced = await stack.up(program(30, "other-"));
    assert.deepEqual(replaced.summary, { replace: 2, same: 1 }, replaced.text);
    const renewed = await stack.outputs();
    assert.equal(String(renewed["result"]).length, 30);
    assert.match(String(renewed["hex"]), /^other-/);
    assert.equal((await stack.getResource("password")).id, "none");
  });

  it("returns what the official SDK's types say, no output more, none less, and secret what is secret there", async () => {
    const resources = await stack.resources();
    assert.ok(resources.length > 1);
    assert.deepEqual(resources.flatMap(faultsOfState), []);
  });

  it("leaves no password in clear in the state file", async () => {
    const { result, hash } = await stack.outputs();
    const file = await stack.stateFile();
    assert.ok(!file.includes(String(result)));
    assert.ok(!file.includes(String(hash)));
  });

  it("refuses what it does not serve, before anything is made, with the command that mends it", async () => {
    const run = await stack.preview(`
      import * as random from "@pulumi/random";
      new random.RandomPassword("number", { length: "x", number: true } as never);
    `);
    assert.notEqual(run.exitCode, 0);
    assert.match(run.text, /"length\\*" is a string, but must be a number/);
    assert.match(run.text, /"number\\*" is deprecated, set \\*"numeric\\*" instead/);
  });

  it("refuses a resource type that it does not serve", async () => {
    const run = await stack.preview(`
      import * as random from "@pulumi/random";
      new random.RandomPet("pet");
    `);
    assert.notEqual(run.exitCode, 0);
    assert.match(run.text, /does not serve random:index\/randomPet:RandomPet/);
    assert.match(run.text, /pulumi plugin install resource random 4\.21\.2/);
  });
});
