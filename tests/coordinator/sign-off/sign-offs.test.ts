import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { parse } from "yaml";
import { runCommandLine } from "../../../coordinator/command-line.ts";
import { emptyFacts } from "../../../coordinator/environment-facts.ts";
import { checklistGates } from "../../../coordinator/gate/checklist-gates.ts";
import { withOverrides } from "../../../coordinator/gate/judge-gates.ts";
import { checklist } from "../../../coordinator/paper/checklist.ts";
import { getRelease } from "../../../releases/catalog.ts";
import { allItemsToSign, itemsToSign } from "../../../releases/checklist.ts";
import { parseEnvironment } from "../../../releases/environment.ts";
import { pinOf } from "../../../releases/pin.ts";
import { stackText } from "../command-fixture.ts";

const to = getRelease("r2");
const raw = (parse(stackText) as { config: Record<string, object> }).config["release-coordinator:environment"] ?? {};
const asking = (minimum: number, roles: string[] = []) =>
  parseEnvironment({
    ...raw,
    approvals: {
      promotion: { minimum: 0, roles: [] },
      finalize: { minimum: 0, roles: [] },
      checklist: { minimum, roles },
    },
  });

describe("items of a checklist that no command proves", function () {
  this.timeout(60_000);
  let folder: string;
  const key = (name: string) => join(folder, `${name}.key`);
  const place = () => join(folder, "approvals", "dev", pinOf(to));

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "sign-offs-"));
    await mkdir(join(folder, "approvals"));
    const lines: string[] = [];
    for (const [name, principals] of [
      ["ben", "ben,security"],
      ["cleo", "cleo,release-manager"],
    ] as const) {
      await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key(name)]);
      lines.push(`${principals} ${await readFile(`${key(name)}.pub`, "utf8")}`);
    }
    await writeFile(join(folder, "approvals", "allowed-signers"), lines.join(""));
    await writeFile(join(folder, "Pulumi.yaml"), "name: release-coordinator\n");
    await writeFile(join(folder, "Pulumi.dev.yaml"), stackText);
  });
  after(() => rm(folder, { recursive: true }));
  afterEach(() => rm(place(), { recursive: true, force: true }));

  async function sign(item: string, who: string, role: string, ...words: string[]) {
    let output = "";
    const write = (text: string) => void (output += text);
    const command = ["sign", "r2", item, "--env", "dev", "--role", role, "--as", who, "--key", key(who), ...words];
    return { code: await runCommandLine(command, { stdout: write, stderr: write }, folder), output };
  }
  const gateOf = async (id: string, minimum = 1, roles: string[] = []) => {
    const found = (await checklistGates(asking(minimum, roles), to, "promotion", folder)).find(
      (each) => each.id === id,
    );
    assert.ok(found, id);
    return found;
  };

  it("are what names no machine's gate, no blocker and not the backup, and every gate that a human judges", () => {
    const ids = (before: "promotion" | "finalize" | null) => itemsToSign(to, before).map(({ id }) => id);
    assert.deepEqual(ids("promotion"), ["security-review", "preview", "there-and-back"]);
    assert.deepEqual(ids("finalize"), []);
    assert.deepEqual(ids(null), ["leak-scan", "notes"]);
    assert.deepEqual(
      itemsToSign(getRelease("r1"), "finalize").map(({ id }) => id),
      ["onboard"],
    );
  });

  it("ask nobody where the stack file asks nobody", async () => {
    assert.deepEqual(await checklistGates(asking(0), to, "promotion", folder), []);
  });

  it("wait for a person, name the command, and are open once somebody has signed", async () => {
    const shut = await gateOf("signed:security-review", 1, ["security"]);
    assert.equal(shut.outcome, "needs-human");
    assert.match(
      shut.evidence,
      /0 of 1 people have signed it as security; to sign: coordinator sign r2 security-review --env dev --role security --key <file>/,
    );
    assert.throws(
      () => withOverrides([shut], { [shut.id]: "in a hurry" }, "ana"),
      /is no gate that a person may override/,
    );
    const run = await sign("security-review", "ben", "security", "--found", "SEC-12: notes read", "--json");
    assert.equal(run.code, 0, run.output);
    assert.equal(JSON.parse(run.output).path, `approvals/dev/${pinOf(to)}/security-review.ben.json`);
    const open = await gateOf("signed:security-review", 1, ["security"]);
    assert.equal(open.outcome, "go", open.evidence);
    assert.match(open.evidence, /^ben \(security\) signed at 20\S+Z: SEC-12: notes read$/);
    assert.equal((await gateOf("signed:preview")).outcome, "needs-human", "another item is not signed by it");
  });

  it("count as many people as are asked, each once, in a role that is asked", async () => {
    assert.equal((await sign("preview", "ben", "security")).code, 0);
    assert.equal((await sign("preview", "ben", "security")).code, 0, "again takes the place of before");
    assert.equal((await gateOf("signed:preview", 2)).outcome, "needs-human");
    const other = await gateOf("signed:preview", 1, ["release-manager"]);
    assert.match(other.evidence, /what ben signed does not count: security is not asked; asked are release-manager/);
    assert.equal((await sign("preview", "cleo", "release-manager")).code, 0);
    const both = await gateOf("signed:preview", 2);
    assert.equal(both.outcome, "go");
    assert.match(both.evidence, /ben \(security\).*; cleo \(release-manager\)/);
  });

  it("are not signed by who wrote the change", async () => {
    const before = process.env["RC_OPERATOR"];
    process.env["RC_OPERATOR"] = "ben";
    try {
      assert.equal((await sign("preview", "ben", "security")).code, 0);
      assert.match((await gateOf("signed:preview")).evidence, /nobody signs for their own change/);
    } finally {
      if (before === undefined) delete process.env["RC_OPERATOR"];
      else process.env["RC_OPERATOR"] = before;
    }
  });

  it("are refused, and nothing is written, for a key that is not listed and an item that is not there", async () => {
    const foreign = await sign("preview", "ben", "release-manager");
    assert.equal(foreign.code, 2);
    assert.match(foreign.output, /is not listed for the role release-manager/);
    const unknown = await sign("vault-healthy", "ben", "security");
    assert.equal(unknown.code, 1, "a machine proves it");
    assert.match(unknown.output, /has no item vault-healthy that a person signs; allowed: security-review, preview/);
    assert.equal((await sign("preview", "ben", "security", "--found", "two\nlines")).code, 1);
    await assert.rejects(readdir(place()), /ENOENT/);
  });

  it("are no signatures once a byte was changed, and a file that is none is a no", async () => {
    assert.equal((await sign("preview", "ben", "security")).code, 0);
    const path = join(place(), "preview.ben.json");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.replace('"preview"', '"security-review"'));
    assert.match((await gateOf("signed:security-review")).evidence, /the signature is not over what it says/);
    await writeFile(path, text.slice(0, 50));
    const gate = await gateOf("signed");
    assert.equal(gate.outcome, "no-go");
    assert.match(gate.evidence, /preview\.ben\.json is no JSON; remove .* and sign again: coordinator sign --help/);
  });

  it("stand in the checklist with who signed, or with the command to sign", async () => {
    assert.equal((await sign("security-review", "ben", "security", "--found", "<b>SEC-12</b>")).code, 0);
    const environment = asking(1, ["security"]);
    const text = checklist({
      environment,
      to,
      facts: emptyFacts(environment),
      gates: await checklistGates(environment, to, "promotion", folder),
      migrations: [],
      waysBack: [],
      entries: [],
      unseen: [],
      now: new Date(),
    });
    assert.match(text, /- \[x\] Security has signed: \*\*go\*\*, ben \(security\) signed at [^\n]*&lt;b&gt;SEC-12/);
    assert.match(text, /- \[ \] The preview's tenants[^\n]*needs-human[^\n]*coordinator sign r2 preview --env dev/);
    assert.match(
      text,
      /- \[ \] A scan finds no clear prompt text[^\n]*: a person says so: `coordinator sign r2 leak-scan --env dev/,
    );
    for (const { id } of allItemsToSign(to)) assert.ok(text.includes(`sign r2 ${id} `) || id === "security-review", id);
  });
});
