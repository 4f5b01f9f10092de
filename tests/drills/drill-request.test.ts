import assert from "node:assert/strict";
import { join } from "node:path";
import { execa } from "execa";
import { parseDrillRequest } from "./drill-request.ts";

describe("the command line of the drills", function () {
  this.timeout(60_000);
  const refused = (args: readonly string[], expected: RegExp) =>
    assert.throws(
      () => parseDrillRequest(args),
      (error: Error) => error instanceof RangeError && expected.test(error.message),
      args.join(" "),
    );

  it("takes a drill with seed and cases", () => {
    const { drill, ...rest } = parseDrillRequest(["tamper", "--seed", "0", "--cases", "3"]);
    assert.deepEqual([drill.name, rest], ["tamper", { seed: 0, cases: 3 }]);
  });

  it("refuses what does not exist with all that is allowed", async () => {
    refused([], /^no drill is named; usage: npm run drill -- NAME .*\n {2}kill-points/);
    refused(["tampre"], /^drill "tampre"; usage: /);
    refused(["tamper", "leak"], /^drill "tamper leak"; usage: /);
    refused(["tamper", "--unknown"], /^Unknown option '--unknown'; usage: .*--only K/);
    refused(["tamper", "--seed"], /--seed.* argument missing; usage: /);
    refused(["tamper", "--seed", "-1", "--only", "0"], /--seed/);
    refused(["tamper", "--cases", "x", "--only", "0"], /^--cases x: .* from 1\n--only 0: .* from 1$/);
    const main = join(import.meta.dirname, "main.ts");
    await assert.rejects(execa(process.execPath, [main, "tamper", "--unknown"]), { exitCode: 2, stdout: "" });
  });
});
