import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FolderFiles } from "../../../coordinator/backend/folder-files.ts";
import { FileHistory } from "../../../coordinator/history/file-history.ts";
import { pinnedStates } from "../../../coordinator/history/pinned-state.ts";
import { TemporaryStack } from "../temporary-stack.ts";

function stackText(pin: string): string {
  return `config:
  release-coordinator:environment:
    name: dev
    pins:
      canary: { now: ${pin}, back: none }
`;
}

/** Real history, made by the real Pulumi: two updates that went well and one that failed. */
describe("history of a file backend", function () {
  this.timeout(120_000);
  let stack: TemporaryStack;

  before(async () => {
    stack = await TemporaryStack.make();
    await stack.writeStackFile(stackText("r1@111111111111"));
    await stack.pulumi("stack", "init", "dev");
    await stack.pulumi("up", "--yes", "--skip-preview", "--message", "promote r1@111111111111");
    await stack.writeStackFile(stackText("r2@222222222222"));
    await stack.pulumi("up", "--yes", "--skip-preview", "--message", "promote r2@222222222222");
    await stack.writeStackFile(stackText("r3@333333333333"));
    stack.turn({ wave: { fails: true } });
    await assert.rejects(stack.pulumi("up", "--yes", "--skip-preview", "--message", "promote r3@333333333333"));
  });
  after(() => stack.remove());

  function fileHistory(): FileHistory {
    return new FileHistory(new FolderFiles(`file://${join(stack.folder, "backend")}`), "release-coordinator", "dev");
  }

  it("reads newest first, failed updates included, the same by files as through Pulumi", async () => {
    const shown = await stack.coordinator("history", "--env", "dev", "--json");
    assert.equal(shown.code, 0, shown.stderr);
    const through = JSON.parse(shown.stdout).entries.map((entry: Record<string, unknown>) => [
      entry["pins"],
      entry["result"],
    ]);
    assert.deepEqual(through, [
      ["r3@333333333333", "failed"],
      ["r2@222222222222", "succeeded"],
      ["r1@111111111111", "succeeded"],
    ]);
    const states = pinnedStates((await fileHistory().read()).entries, "dev");
    assert.deepEqual(
      states.map(({ pins, result }) => [pins["canary"]?.now, result]),
      through,
    );
    assert.equal(states[1]?.message, "promote r2@222222222222");
  });

  it("leaves out a truncated entry with a warning, and another project's entry silently", async () => {
    const names = (await readdir(stack.historyFolder)).filter((name) => name.endsWith(".history.json")).sort();
    const newest = await readFile(join(stack.historyFolder, names.at(-1) ?? ""), "utf8");
    const broken = join(stack.historyFolder, "dev-2795369366782532071.history.json");
    const foreign = join(stack.historyFolder, "dev-2795369366782532072.history.json");
    await writeFile(broken, newest.slice(0, newest.length / 2));
    await writeFile(foreign, newest.replaceAll("release-coordinator:environment", "shop:environment"));

    const { entries, warnings } = await fileHistory().read();
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /dev-2795369366782532071\.history\.json is left out/);
    assert.equal(pinnedStates(entries, "dev").length, 3);

    const shown = await stack.coordinator("history", "--env", "dev");
    assert.equal(shown.code, 0);
    assert.match(shown.stderr, /warning: .*dev-2795369366782532071\.history\.json is left out/);
    assert.match(shown.stdout, /r2@222222222222/);
  });

  it("names a stack that does not exist and the command that makes it", async () => {
    const shown = await stack.coordinator("history", "--env", "prod");
    assert.equal(shown.code, 1);
    assert.match(shown.stderr, /stack prod does not exist in this backend; make it: pulumi stack init prod/);
  });

  it("is empty for a backend that never ran the stack", async () => {
    const history = new FileHistory(new FolderFiles(`file://${stack.folder}`), "release-coordinator", "dev");
    assert.deepEqual(await history.read(), { entries: [], warnings: [] });
  });
});
