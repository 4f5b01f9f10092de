import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { runCommandLine } from "../../coordinator/command-line.ts";
import { seconds, watch } from "../../coordinator/watch.ts";
import { repositoryFolder } from "../../local/folders.ts";

async function run(...words: string[]): Promise<{ code: number; output: string }> {
  let output = "";
  const terminal = { stdout: (text: string) => void (output += text), stderr: (text: string) => void (output += text) };
  return { code: await runCommandLine(words, terminal, repositoryFolder), output };
}

/** Command paths in the help of a command, itself included. */
async function pathsBelow(path: readonly string[] = []): Promise<string[][]> {
  const { output } = await run(...path, "--help");
  const [, list = ""] = output.split("\nCommands:\n");
  const names = [...(list.split("\n\n")[0] ?? "").matchAll(/^ {2}([a-z][\w-]*)/gm)].map(([, name = ""]) => name);
  const found: string[][] = [];
  for (const name of names.filter((each) => each !== "help"))
    found.push([...path, name], ...(await pathsBelow([...path, name])));
  return found;
}

describe("the command line", function () {
  this.timeout(60_000);

  it("teaches: every command says what it does and shows an example of itself", async () => {
    const paths = await pathsBelow();
    assert.ok(paths.length > 25);
    const groups = new Set(paths.map((path) => path.slice(0, -1).join(" ")));
    for (const path of paths.filter((each) => !groups.has(each.join(" ")))) {
      const { code, output } = await run(...path, "--help");
      assert.equal(code, 0);
      assert.match(output.split("Example")[1] ?? "", new RegExp(`coordinator ${path.join(" ")}`), path.join(" "));
    }
  });

  it("completes commands, subcommands and options in bash, as the help lists them", async () => {
    const { code, output } = await run("completion", "bash");
    assert.equal(code, 0);
    const complete = async (...words: string[]) => {
      const list = words.map((word) => `'${word}'`).join(" ");
      const script = `${output}\nCOMP_WORDS=(coordinator ${list}); COMP_CWORD=${words.length}; _coordinator; printf '%s\\n' "\${COMPREPLY[@]}"`;
      return (await execa("bash", ["-c", script])).stdout.split("\n");
    };
    assert.deepEqual(await complete("prom"), ["promote"]);
    assert.deepEqual(await complete("tenant", "onb"), ["onboard"]);
    assert.deepEqual(await complete("promote", "r2", "--ov"), ["--override"]);
    assert.deepEqual((await complete("evidence", "--")).sort(), [
      "--config-file",
      "--env",
      "--expect",
      "--help",
      "--json",
      "--since",
    ]);
    assert.match((await run("completion", "zsh")).output, /bashcompinit[^]*complete -F _coordinator coordinator/);
    assert.match((await run("completion", "fish")).output, /__fish_seen_subcommand_from tenant' -a onboard/);
    assert.equal((await run("completion", "csh")).code, 1);
  });

  it("writes no colours and no escapes, on a pipe and with NO_COLOR on what says it is a terminal", async () => {
    for (const environment of [{ NO_COLOR: "1", FORCE_COLOR: undefined }, {}]) {
      const { all } = await execa("node", ["coordinator/main.ts", "lint"], {
        cwd: repositoryFolder,
        all: true,
        env: environment,
        reject: false,
      });
      assert.ok(all.length > 20);
      assert.ok(!all.includes("\u001b"), all);
    }
  });

  it("watches until Ctrl-C: each view takes the place of the one before on a terminal, and follows it in a pipe", async () => {
    for (const isTerminal of [true, false]) {
      let output = "";
      let views = 0;
      const terminal = { stdout: (text: string) => void (output += text), stderr: () => undefined };
      const watching = watch(
        async () => {
          views += 1;
          if (views === 3) process.emit("SIGINT");
          return views;
        },
        0.001,
        terminal,
        isTerminal,
      );
      assert.equal(await watching, 3, "the code of the last view");
      await sleep(20);
      assert.equal(views, 3);
      assert.equal(output.includes("\u001b[2J"), isTerminal);
    }
    assert.throws(() => seconds("0.1"), /"0.1" is no number of seconds; allowed: 1 to 3600/);
  });

  it("answers in JSON and with its exit codes also without servers and stacks", async () => {
    const folder = await mkdtemp(join(tmpdir(), "command-line-"));
    const before = process.env["PULUMI_BACKEND_URL"];
    process.env["PULUMI_BACKEND_URL"] = `file://${folder}`;
    try {
      await writeFile(join(folder, "keep"), "");
      const lint = await run("lint", "--json");
      assert.deepEqual([lint.code, (JSON.parse(lint.output) as { outcome: string }).outcome], [0, "go"]);
      for (const words of [
        ["status", "--env", "nowhere"],
        ["rollback", "nowhere", "--to", "r9"],
        ["evidence", "--env", "nowhere"],
      ]) {
        const { code, output } = await run(...words, "--json");
        assert.equal(code, 1, words.join(" "));
        const { outcome, error } = JSON.parse(output) as { outcome: string; error: string };
        assert.equal(outcome, "error");
        assert.match(error, /Pulumi\.nowhere\.yaml does not exist; name an environment that has one/);
      }
    } finally {
      if (before === undefined) delete process.env["PULUMI_BACKEND_URL"];
      else process.env["PULUMI_BACKEND_URL"] = before;
      await rm(folder, { recursive: true });
    }
  });
});
