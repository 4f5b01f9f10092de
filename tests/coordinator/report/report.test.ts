import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { StackReport } from "../../../coordinator/report/stack-report.ts";
import { CommandFixture, r1, r2, stackText } from "../command-fixture.ts";

/** The report on a real stack, a real registry and real tenants; what cannot be seen is part of it. */
describe("coordinator report", function () {
  this.timeout(180_000);
  this.bail(true);
  let fixture: CommandFixture;
  let file: string;

  before(async () => {
    fixture = await CommandFixture.open();
    file = await fixture.fileText();
  });
  after(() => fixture.close());

  const json = async (...words: string[]): Promise<{ code: number; stacks: StackReport[]; dev: StackReport }> => {
    const { code, stdout, stderr } = await fixture.stack.coordinator("report", "--json", ...words);
    const { stacks } = JSON.parse(stdout) as { stacks: StackReport[] };
    const dev = stacks.find(({ environment }) => environment === "dev");
    assert.ok(dev, stderr);
    return { code, stacks, dev };
  };

  it("speaks before the first update, and says that there is no registry yet", async () => {
    const world = fixture.stack.variables["RC_TEST_WORLD"] ?? "";
    fixture.stack.setVariables({ RC_TEST_WORLD: "" });
    const { dev, code } = await json("--env", "dev");
    fixture.stack.setVariables({ RC_TEST_WORLD: world });
    assert.equal(code, 0);
    assert.match(dev.remarks.join(), /the registry does not exist yet/);
    assert.deepEqual(
      dev.moves.map(({ waves, diff }) => [waves, diff.from, diff.to]),
      [[["canary", "general"], undefined, "r1"]],
    );
    assert.equal(dev.counts?.create, 5, "two waves with a node each, and the provider of the nodes");
    assert.match(dev.digest ?? "", /^[0-9a-f]{16}$/);
  });

  it("reports every environment, also one whose stack does not exist and whose variables are not set", async () => {
    const prod = stackText.replace("name: dev #", "name: prod #").replaceAll("env:RC_", "env:RC_TEST_NOWHERE_");
    await writeFile(join(fixture.stack.program, "Pulumi.prod.yaml"), prod);
    const { code, stdout } = await fixture.stack.coordinator("report");
    assert.equal(code, 1, "the worst of the two");
    assert.ok(stdout.startsWith("<!-- release-coordinator report -->\n"));
    assert.match(stdout, /### dev: \*\*error\*\*[^]*### prod: \*\*needs a human or time\*\*/);
    assert.match(stdout, /stack prod does not exist in this backend; make it: pulumi stack init prod/);
    assert.match(stdout, /RC\\_TEST\\_NOWHERE\\_POSTGRES\\_URL is not set/);
    assert.match(stdout, /is the first release: there is nothing to go back to/);
  });

  it("names every fault of a stack file, and goes on with the others", async () => {
    await writeFile(
      join(fixture.stack.program, "Pulumi.prod.yaml"),
      stackText.replace("runtime: docker", "runtime: dockr"),
    );
    const { code, stacks } = await json();
    const prod = stacks.find(({ environment }) => environment === "prod");
    assert.equal(code, 1);
    assert.match(prod?.blockers.join() ?? "", /runtime is "dockr", allowed is .*docker/);
    await writeFile(join(fixture.stack.program, "Pulumi.prod.yaml"), "config: {}\n");
    assert.match(
      (await fixture.stack.coordinator("report", "--env", "prod")).stdout,
      /has no object release-coordinator:environment/,
    );
  });

  it("counts rows, minutes and the way back of a promotion in a pull request, without writing anything", async () => {
    await fixture.dev("tenant", "onboard", "cmd-acme", "--tags", "canary");
    await fixture.dev("tenant", "onboard", "cmd-cobalt");
    assert.equal((await fixture.dev("promote", "r1")).code, 0);
    const wished = file
      .replace(`canary: { now: ${r1}, back: none }`, `canary: { now: ${r2}, back: ${r1} }`)
      .replace("vault: false", "vault: true");
    await fixture.stack.writeStackFile(wished);
    const history = await fixture.updates();
    const { dev, code } = await json("--env", "dev");
    assert.equal(code, 0, JSON.stringify([dev.blockers, dev.unseen]));
    assert.deepEqual(
      dev.moves.map(({ waves, diff }) => [waves, diff.from, diff.to]),
      [[["canary"], "r1", "r2"]],
    );
    const [canary] = dev.migrations;
    assert.deepEqual(
      [canary?.wave, canary?.moving, canary?.mirrors[0]?.step, canary?.mirrors[0]?.rows],
      ["canary", 1, "build", 0],
    );
    assert.deepEqual(
      dev.waysBack.map(({ wave, to, outcome }) => [wave, to, outcome]),
      [
        ["canary", r1, "go"],
        ["general", undefined, "no-go"],
      ],
    );
    assert.match(dev.waysBack[0]?.reasons.join() ?? "", /instant for 1 tenant to r1/, "as it stands after the update");
    assert.ok(dev.changes?.some(({ name, op }) => name === "cutover-canary" && op === "update"));
    assert.match(dev.remarks.join(), /prompts-in-database: cleared/);
    assert.match(dev.releaseNotes.join(), /r2: /);
    assert.equal(await fixture.fileText(), wished);
    assert.equal(await fixture.updates(), history);
  });

  it("is what diff --markdown prints, also for a release that is not pinned yet", async () => {
    await fixture.stack.writeStackFile(file);
    const { code, stdout } = await fixture.dev("diff", "r2", "--markdown");
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^<!-- release-coordinator report -->/);
    assert.match(stdout, /\*\*canary, general\*\*: `r1@\w+` → `r2@\w+`/);
    assert.equal(await fixture.fileText(), file);
  });

  it("says who holds what is pinned, and is no-go then", async () => {
    await fixture.registry.holds.place({ environment: "dev", hashes: [], who: "ben", why: "audit <b> @security" });
    const { code, stdout } = await fixture.stack.coordinator("report", "--env", "dev");
    assert.equal(code, 2);
    assert.match(
      stdout,
      /### What stands in the way\n\n- \*\*dev\*\*: dev is held since .* \(ben: audit &lt;b&gt; @\u200bsecurity\)/,
    );
    await fixture.registry.holds.release("dev", {});
  });

  it("is there also when the preview fails", async () => {
    const world = fixture.stack.variables["RC_TEST_WORLD"] ?? "";
    fixture.stack.setVariables({ RC_TEST_WORLD: "http://127.0.0.1:1" });
    const { code, stdout } = await fixture.stack.coordinator("report", "--env", "dev");
    fixture.stack.setVariables({ RC_TEST_WORLD: world });
    assert.equal(code, 1);
    assert.match(stdout, /### What stands in the way\n\n- \*\*dev\*\*: the preview failed: /);
    assert.match(stdout, /The resources were not seen/);
    assert.match(stdout, /Can I go back, once this has run\?/);
  });

  it("shows a changed secret as a secret, in the comment and in the JSON", async () => {
    const program = join(fixture.stack.program, "index.ts");
    const text = await readFile(program, "utf8");
    const node = (value: string) =>
      `${text}\nnew Node("vault-login", { label2: pulumi.secret("${value}"), plain: "${value.length}" }, { parent: new Part("Secrets", "vault") });\n`;
    await writeFile(program, node("hunter-the-first"));
    assert.equal((await fixture.dev("promote", "r1")).code, 0);
    await writeFile(program, node("hunter-the-second"));
    const { stdout } = await fixture.stack.coordinator("report", "--env", "dev");
    const twin = await fixture.stack.coordinator("report", "--env", "dev", "--json");
    assert.match(stdout, /label2: \[secret\] → \[secret\]/);
    assert.match(stdout, /plain: "16" → "17"/);
    assert.match(stdout, /update of Resource vault-login changes a secret: label2/);
    assert.doesNotMatch(stdout + twin.stdout, /hunter/);
    assert.doesNotMatch(stdout + twin.stdout, /"__/);
  });

  it("renders files of other jobs, and looks at nothing then", async () => {
    const path = join(fixture.stack.folder, "dev.json");
    await writeFile(path, (await fixture.stack.coordinator("report", "--env", "dev", "--json")).stdout);
    const { code, stdout } = await fixture.stack.coordinator("report", "--from", path);
    assert.equal(code, 0);
    assert.match(stdout, /### dev: may go/);
    const missing = await fixture.stack.coordinator("report", "--from", "nothing.json", "--json");
    assert.equal(missing.code, 1);
    assert.match(JSON.parse(missing.stdout).stacks[0].blockers[0], /nothing.json cannot be read \(ENOENT\); write it/);
    const both = await fixture.stack.coordinator("report", "--from", path, "report-prod.json");
    assert.equal(both.code, 1);
    assert.match(both.stdout, /### dev: may go[^]*### report-prod: \*\*error\*\*/);
  });
});
