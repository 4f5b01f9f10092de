import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { marker, renderComment } from "../../coordinator/report/comment.ts";
import type { StackReport } from "../../coordinator/report/stack-report.ts";
import { repositoryFolder } from "../../local/folders.ts";
import { quiet, refused } from "../coordinator/report/example-reports.ts";
import { faultOf } from "./known-commands.ts";
import { simpleCommands } from "./shell-words.ts";
import { readWorkflow, startedFiles, workflowCommands, workflowFiles } from "./workflow-commands.ts";
import type { WorkflowCommand } from "./workflow-commands.ts";

describe("the workflows to copy", function () {
  this.timeout(60_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "workflow-"));
  });
  after(() => rm(folder, { recursive: true }));

  /** Runs a step as GitHub does, with programs of ours in place of those that would leave this machine. */
  async function runStep(command: WorkflowCommand, programs: Readonly<Record<string, string>> = {}, more: object = {}) {
    for (const [name, text] of Object.entries(programs)) {
      await writeFile(join(folder, name), `#!/bin/bash\n${text}\n`);
      await chmod(join(folder, name), 0o755);
    }
    return execa("bash", ["-e", "-o", "pipefail", "-c", command.run], {
      cwd: repositoryFolder,
      reject: false,
      env: {
        ...command.env,
        RUNNER_TEMP: folder,
        GITHUB_ENV: join(folder, "github-env"),
        PATH: `${folder}:${process.env["PATH"]}`,
        ...more,
      },
    });
  }
  const find = (file: string, part: RegExp): WorkflowCommand => {
    const [found, ...others] = workflowCommands(file, { "runner.temp": folder }).filter(({ name }) => part.test(name));
    assert.ok(found !== undefined && others.length === 0, `${file} has one step ${part}`);
    return found;
  };

  it("run only commands that exist", async () => {
    for (const file of [...Object.values(workflowFiles), ...Object.values(startedFiles)]) {
      const commands = workflowCommands(file);
      assert.ok(commands.some(({ needsPlatform }) => needsPlatform));
      for (const { run, name } of commands.filter(({ name: step }) => !step.startsWith("Write the comment")))
        for (const words of simpleCommands(run)) {
          if (["exit", "true", "test", "if", "fi", "then"].includes(words[0] ?? "") || words[1] === "--eval") continue;
          assert.equal(await faultOf(words), undefined, `${file}, ${name}: ${words.join(" ")}`);
        }
    }
  });

  it("keep credentials from forks, and the right to write from the code of the branch", () => {
    const { on, permissions, jobs } = readWorkflow(workflowFiles.preview);
    assert.deepEqual(Object.keys(on), ["pull_request"], "never pull_request_target");
    assert.deepEqual(permissions, { contents: "read" });
    assert.match(jobs["preview"]?.if ?? "", /head\.repo\.full_name == github\.repository/);
    assert.equal(jobs["preview"]?.permissions, undefined);
    assert.deepEqual(jobs["comment"]?.permissions, { contents: "read", "pull-requests": "write" });
    const [checkout, ...others] = (jobs["comment"]?.steps ?? []).filter(({ uses }) =>
      uses?.startsWith("actions/checkout"),
    );
    assert.equal(checkout?.with?.["ref"], "${{ github.event.pull_request.base.sha }}", "code of the base alone");
    assert.deepEqual(others, []);
    assert.doesNotMatch(JSON.stringify(jobs["comment"]), /secrets\./);
    const preview = JSON.stringify(jobs["preview"]);
    assert.doesNotMatch(preview, /pulumi up|promote|verify|maintenance/, "a preview changes nothing");
  });

  it("update one environment at a time, in order, and never cancel an update", () => {
    const { jobs } = readWorkflow(workflowFiles.up);
    const up = jobs["up"];
    assert.deepEqual(up?.strategy?.matrix["environment"], ["staging", "prod"]);
    assert.equal(up?.strategy?.["max-parallel"], 1);
    assert.match(up?.concurrency?.group ?? "", /matrix\.environment/);
    assert.equal(up?.concurrency?.["cancel-in-progress"], false);
    assert.equal(up?.environment, "${{ matrix.environment }}", "the GitHub environment's reviewers are asked");
  });

  it("install with the lock file and with the pins of Alembic", async () => {
    for (const file of Object.values(workflowFiles)) {
      const programs = {
        npm: `echo "npm $*" >> "$RUNNER_TEMP/installed"`,
        python3: `mkdir -p "$3/bin" && printf '#!/bin/bash\\necho "pip $*" >> "$RUNNER_TEMP/installed"\\n' > "$3/bin/pip" && chmod +x "$3/bin/pip"`,
      };
      for (const step of workflowCommands(file, { "runner.temp": folder }).filter(({ installs }) => installs)) {
        const { exitCode, stderr } = await runStep(step, programs);
        assert.equal(exitCode, 0, stderr);
      }
    }
    const installed = await readFile(join(folder, "installed"), "utf8");
    assert.match(installed, /^npm ci --no-audit --no-fund\nnpm ci/);
    assert.match(installed, /pip install .*--requirement local\/python\/requirements.txt/);
    await rm(join(folder, "npm"));
    await rm(join(folder, "python3"));
  });

  it("check stack files and releases before anything else", async () => {
    for (const file of Object.values(workflowFiles)) {
      const { exitCode, all } = await execa("bash", ["-e", "-o", "pipefail", "-c", find(file, /^Check/).run], {
        cwd: repositoryFolder,
        env: { ENVIRONMENT: "dev" },
        reject: false,
        all: true,
      });
      assert.equal(exitCode, 0, all);
    }
  });

  it("hand the variables of the GitHub environment over", async () => {
    for (const file of Object.values(workflowFiles)) {
      const step = find(file, /variables/);
      const VARIABLES = JSON.stringify({ RC_STAGING_GATEWAY_URL: "https://gateway.example?a=1&b='2'" });
      await rm(join(folder, "github-env"), { force: true });
      const { exitCode, stderr } = await runStep(step, {}, { VARIABLES });
      assert.equal(exitCode, 0, stderr);
      const written = await readFile(join(folder, "github-env"), "utf8");
      assert.equal(written, "RC_STAGING_GATEWAY_URL=https://gateway.example?a=1&b='2'\n");
    }
  });

  /** The preview step on a checkout whose coordinator answers what the test says; rendering is done by the real one. */
  async function preview(environment: string, stdout: string, exitCode: number) {
    const node = `if [[ "$*" = *"report --env"* ]]; then cat "$RUNNER_TEMP/answer"; exit ${exitCode}; fi
exec "${process.execPath}" "$@"`;
    await writeFile(join(folder, "answer"), stdout);
    const ended = await runStep(find(workflowFiles.preview, /^Preview/), { node }, { ENVIRONMENT: environment });
    await rm(join(folder, "node"));
    return ended;
  }
  /** What the comment job does with the files of the previews. */
  async function makeComment(...environments: string[]) {
    await rm(join(folder, "reports"), { recursive: true, force: true });
    await mkdir(join(folder, "reports"));
    for (const each of environments)
      await rename(join(folder, `report-${each}.json`), join(folder, "reports", `report-${each}.json`));
    const { exitCode, stderr } = await runStep(find(workflowFiles.preview, /^Make the comment/));
    assert.equal(exitCode, 0, stderr);
    return readFile(join(folder, "comment.md"), "utf8");
  }
  const answerOf = (...stacks: StackReport[]) => JSON.stringify({ outcome: "go", stacks });

  it("show each preview in its log, end with its exit code, and make one comment of all", async () => {
    const staging = await preview("staging", answerOf(quiet), 0);
    assert.equal(staging.exitCode, 0, staging.stderr);
    assert.match(staging.stdout, /### staging: may go/);
    const prod = await preview("prod", answerOf(refused), 2);
    assert.equal(prod.exitCode, 2);
    assert.equal(await makeComment("staging", "prod"), renderComment([quiet, refused]));
  });

  it("write a comment also when a preview wrote nothing, or none did", async () => {
    await preview("staging", answerOf(quiet), 0);
    const broken = await preview("prod", "", 1);
    assert.equal(broken.exitCode, 1);
    const comment = await makeComment("staging", "prod");
    assert.match(comment, /### staging: may go/);
    assert.match(comment, /### report-prod: \*\*error\*\*/);
    assert.match(comment, /is no JSON; write it anew/);
    assert.match(await makeComment(), /cannot be read \(ENOENT\)/);
  });

  it("take nothing from a branch but text", async () => {
    const evil = "</details><script>x</script> @security ![](http://x) ```";
    await preview("prod", answerOf({ ...refused, environment: evil, blockers: [evil], releaseNotes: [evil] }), 2);
    const comment = await makeComment("prod");
    assert.doesNotMatch(comment.replaceAll(/`[^`\n]*`/g, ""), /<script>|(?<!\w)@security|http:\/\/x/);
  });

  it("write one comment, and replace it the next time", async () => {
    const step = find(workflowFiles.preview, /^Write the comment/);
    const gh = (before: string) =>
      `echo "gh $*" >> "$CALLS"; case "$*" in *--paginate*) printf '%s' '${before}';; esac`;
    await preview("staging", answerOf(quiet), 0);
    const comment = await makeComment("staging");
    assert.ok(step.run.includes(`startswith("${marker}")`) && comment.startsWith(marker), "the comment is found again");
    for (const [before, call] of [
      ["", /gh api --method POST repos\/somebody\/platform\/issues\/7\/comments --field body=@.*\/comment.md/],
      ["41\n42", /gh api --method PATCH repos\/somebody\/platform\/issues\/comments\/41 --field body=@.*\/comment.md/],
    ] as const) {
      const calls = join(folder, `calls-${before.length}`);
      const { exitCode, stderr } = await runStep(step, { gh: gh(before) }, { CALLS: calls });
      assert.equal(exitCode, 0, stderr);
      assert.match(await readFile(calls, "utf8"), call);
    }
  });

  describe("that a person starts", () => {
    /** Runs a step with a coordinator that writes down what it is asked, and ends as the test says. */
    async function start(file: string, part: RegExp, values: Readonly<Record<string, string>>, exitCode = 0) {
      const asked = join(folder, "asked");
      await rm(asked, { force: true });
      const [step] = workflowCommands(file, { "runner.temp": folder, ...values }).filter(({ name }) => part.test(name));
      assert.ok(step, `${file} has a step ${part}`);
      const node = `printf '%s\\n' "$*" >> "${asked}"\ncase "$*" in *"promote "*|*"rollback "*) exit ${exitCode};; esac`;
      const ended = await runStep(step, { node });
      await rm(join(folder, "node"));
      return { ...ended, asked: (await readFile(asked, "utf8")).trim().split("\n") };
    }

    it("promote what was asked, with the digest that was read, and lift no hold", async () => {
      const all = await start(startedFiles.promote, /^Promote/, {});
      assert.equal(all.exitCode, 0, all.stderr);
      assert.deepEqual(all.asked, ["coordinator/main.ts promote r2 --env dev --keep-holds"]);
      const values = { "inputs.wave": "canary", "inputs.digest": "5f0c2a91b7e4d388", "inputs.release": "r2; rm -rf ~" };
      const some = await start(startedFiles.promote, /^Promote/, values);
      assert.deepEqual(some.asked, [
        "coordinator/main.ts promote r2; rm -rf ~ --env dev --keep-holds --wave canary --approved 5f0c2a91b7e4d388",
      ]);
    });

    it("end as the promotion ends, and say when it only waits", async () => {
      for (const code of [1, 2, 3]) {
        const { exitCode, stdout } = await start(startedFiles.promote, /^Promote/, {}, code);
        assert.equal(exitCode, code);
        assert.equal(stdout.includes("::warning::it waits"), code === 3);
      }
    });

    it("go back at once, or only ask", async () => {
      const now = await start(startedFiles.rollback, /^Roll back/, { "inputs.reason": 'error "rate"' });
      assert.deepEqual(now.asked, ['coordinator/main.ts rollback dev --reason error "rate"']);
      const ask = { "inputs.target": "r1", "inputs.only-ask && 'yes' || ''": "yes" };
      const asked = await start(startedFiles.rollback, /^Roll back/, ask);
      assert.deepEqual(asked.asked, ["coordinator/main.ts rollback dev --reason error rate --to r1 --dry-run"]);
      assert.equal((await start(startedFiles.rollback, /^Roll back/, {}, 2)).exitCode, 2);
    });

    it("keep evidence, status and patch whatever has happened, one at a time with updates, and read no input in a command", async () => {
      for (const [name, file] of Object.entries(startedFiles)) {
        const [job] = Object.values(readWorkflow(file).jobs);
        assert.match(job?.concurrency?.group ?? "", /^release-/, "the group of up.yml");
        assert.equal(job?.concurrency?.["cancel-in-progress"], false);
        assert.equal(job?.environment, "${{ inputs.environment }}");
        assert.deepEqual(readWorkflow(file).permissions, { contents: "read" });
        const { inputs } = readWorkflow(file).on["workflow_dispatch"] as { inputs: Record<string, object> };
        for (const [input, fields] of Object.entries(inputs))
          for (const field of Object.keys(fields))
            assert.ok(["description", "type", "options", "required", "default"].includes(field), `${input}: ${field}`);
        for (const { run = "" } of job?.steps ?? [])
          assert.doesNotMatch(run, /\$\{\{/, "an input would be run as a command");
        const { asked, exitCode, stderr } = await start(file, /^Keep evidence/, {});
        assert.equal(exitCode, 0, `${name}: ${stderr}`);
        assert.deepEqual(
          asked.map((line) => line.split(" ")[1]),
          ["status", "retrospective", "evidence"],
        );
        const always = (job?.steps ?? []).filter((step) => step.if === "always()").length;
        assert.equal(always, 2, "also after a failure");
      }
    });
  });

  it("update, verify and tell, in this order, by commands that a platform test can run", () => {
    const [step, ...others] = workflowCommands(workflowFiles.up).filter(({ needsPlatform }) => needsPlatform);
    assert.equal(others.length, 0);
    const commands = simpleCommands(step?.run ?? "").map((words) => words.slice(0, 3).join(" "));
    assert.deepEqual(commands, [
      "pulumi up --stack",
      "node coordinator/main.ts verify",
      "node coordinator/main.ts status",
    ]);
    assert.equal(step?.env["ENVIRONMENT"], "dev");
    assert.ok(
      !("RC_STAGING_POSTGRES_URL" in (step?.env ?? {})),
      "a secret that was not given hides no variable of the platform",
    );
  });
});
