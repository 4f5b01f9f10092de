import { globSync } from "node:fs";
import Mocha from "mocha";
import { mochaGlobalSetup, mochaGlobalTeardown } from "./servers.ts";

// Runs every test (or the files named on the command line) in one process, with one PostgreSQL and one Vault for all of
// them, and closes with the line that CI reads. `npm test -- tests/releases/*.test.ts` runs a part.
const asked = process.argv.slice(2);
const files = (asked.length > 0 ? asked : globSync("tests/**/*.test.ts")).sort();
const options: Mocha.MochaOptions & Record<string, unknown> = {
  timeout: 60_000,
  reporter: "spec",
  forbidOnly: true,
  forbidPending: true,
  globalSetup: [mochaGlobalSetup],
  globalTeardown: [mochaGlobalTeardown],
};
const mocha = new Mocha(options);
for (const file of files) mocha.addFile(file);
await mocha.loadFilesAsync();

let passed = 0;
let failed = 0;
const runner = mocha.run(() => {
  console.log(`${passed} passed, ${failed} failed`);
  // A test that ran nothing has proven nothing.
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
});
runner.on("pass", () => (passed += 1));
runner.on("fail", () => (failed += 1));
