import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { repositoryFolder } from "../../local/folders.ts";
import { faultOf } from "./known-commands.ts";
import { simpleCommands } from "./shell-words.ts";
import { readWorkflow, workflowCommands, workflowFiles } from "./workflow-commands.ts";
import type { WorkflowCommand } from "./workflow-commands.ts";

const diff = {
  outcome: "go",
  environment: "dev",
  releases: [
    {
      waves: ["canary"],
      diff: {
        from: "r1",
        to: "r2",
        services: [{ name: "platform-api", from: "1.0.0", to: "2.0.0" }],
        schema: { from: "0001", expandTo: "0002", contractTo: "0003" },
        flags: [{ key: "api-v2", from: false, to: true }],
        mirrors: [{ mirror: "prompt-encryption", to: "sink" }],
      },
    },
  ],
  positions: [{ mirror: "prompt-encryption", position: "mirroring", tenants: 2, rows: 1200, dirty: 3 }],
  resources: [{ urn: "u", op: "update", type: "Cutover", name: "canary-cutover", diffs: ["release"] }],
  notes: ["2 tenants, 1200 rows\nask <b>@security</b>"],
  digest: "5f0c2a91b7e4d388",
  waysBack: [
    {
      wave: "canary",
      from: "r2@6ddb29be9a97",
      to: "r1@de0f0d1ed670",
      outcome: "go",
      seconds: 2.5,
      secondsAfterFinalize: 80,
      reasons: ["instant for 2 tenants"],
    },
  ],
};

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
    for (const file of Object.values(workflowFiles)) {
      const commands = workflowCommands(file);
      assert.ok(commands.some(({ needsPlatform }) => needsPlatform));
      for (const { run, name } of commands.filter(({ job }) => job !== "comment"))
        for (const words of simpleCommands(run)) {
          if (["exit", "bash"].includes(words[0] ?? "") || words[1] === "--eval") continue;
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
    assert.deepEqual(jobs["comment"]?.permissions, { "pull-requests": "write" });
    assert.ok(!jobs["comment"]?.steps.some(({ uses }) => uses?.startsWith("actions/checkout")));
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
      const { exitCode, stderr } = await runStep(find(file, /Install/), programs);
      assert.equal(exitCode, 0, stderr);
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

  /** The preview step on a checkout whose coordinator answers what the test says. */
  async function preview(stdout: string, exitCode: number, log = "") {
    const node = `if [ "$1" = coordinator/main.ts ]; then cat "$RUNNER_TEMP/answer"; cat "$RUNNER_TEMP/answer.log" >&2; exit ${exitCode}; fi
exec "${process.execPath}" "$@"`;
    await writeFile(join(folder, "answer"), stdout);
    await writeFile(join(folder, "answer.log"), log);
    const ended = await runStep(find(workflowFiles.preview, /^Preview/), { node });
    await rm(join(folder, "node"));
    return { ...ended, comment: await readFile(join(folder, "comment-dev.md"), "utf8") };
  }

  it("write what a reviewer must read outside of the fold", async () => {
    const { exitCode, comment, stderr } = await preview(JSON.stringify(diff), 0);
    assert.equal(exitCode, 0, stderr);
    const [outside = "", inside = ""] = comment.split("<details>");
    assert.match(outside, /### dev: may go/);
    assert.match(outside, /Waves \*\*canary\*\*: r1 -> r2/);
    assert.match(outside, /authority of prompt-encryption moves to the sink/);
    assert.match(outside, /mirroring for 2 tenants: 1200 rows, 3 to drain/);
    assert.match(
      outside,
      /Can I go back.*\n\n- canary: from `r2@\w+` to `r1@\w+`: yes, about 3 s; once finalized about 80 s/,
    );
    assert.doesNotMatch(outside, /<b>|@security/, "text of servers calls nobody and brings no markup");
    assert.match(inside, /update {3}Cutover canary-cutover \(release\)/);
    assert.match(inside, /Approval digest: `5f0c2a91b7e4d388`/);
  });

  it("also write a refusal, and a fault without any answer, and end with their exit code", async () => {
    const refused = await preview(JSON.stringify({ outcome: "no-go", reasons: ["prod is held since 03:12"] }), 2);
    assert.equal(refused.exitCode, 2);
    assert.match(refused.comment, /### dev: \*\*no-go\*\*\n\n```\nprod is held since 03:12\n```/);
    const broken = await preview("", 1, "error: no Pulumi.yaml\n```\n");
    assert.equal(broken.exitCode, 1);
    assert.match(broken.comment, /### dev: \*\*error\*\*\n\n```\nerror: no Pulumi.yaml\n'''\n```/);
  });

  it("stay small enough for a comment whatever the preview holds", async () => {
    const many = {
      ...diff,
      resources: Array.from({ length: 5_000 }, () => ({ ...diff.resources[0], name: "x".repeat(200) })),
    };
    const { comment } = await preview(JSON.stringify(many), 0);
    assert.ok(Buffer.byteLength(comment) < 21_000);
    assert.match(comment, /5000 resources change/);
    assert.match(comment, /Can I go back/);
    const endless = await preview(JSON.stringify({ ...diff, notes: ["y".repeat(90_000)] }), 0);
    assert.ok(Buffer.byteLength(endless.comment) < 21_000);
  });

  it("write one comment, and replace it the next time", async () => {
    const step = find(workflowFiles.preview, /comment/);
    const gh = (before: string) =>
      `echo "gh $*" >> "$CALLS"; case "$*" in *--paginate*) printf '%s' '${before}';; esac`;
    await preview(JSON.stringify(diff), 0);
    for (const [before, call] of [
      ["", /gh api --method POST repos\/somebody\/platform\/issues\/7\/comments --field body=@comment.md/],
      ["41\n42", /gh api --method PATCH repos\/somebody\/platform\/issues\/comments\/41 --field body=@comment.md/],
    ] as const) {
      const calls = join(folder, `calls-${before.length}`);
      await writeFile(join(folder, "gh"), `#!/bin/bash\n${gh(before)}\n`);
      await chmod(join(folder, "gh"), 0o755);
      const { exitCode, stderr } = await execa("bash", ["-e", "-o", "pipefail", "-c", step.run], {
        cwd: folder,
        reject: false,
        env: { ...step.env, CALLS: calls, PATH: `${folder}:${process.env["PATH"]}` },
      });
      assert.equal(exitCode, 0, stderr);
      assert.match(await readFile(calls, "utf8"), call);
    }
    assert.match(await readFile(join(folder, "comment.md"), "utf8"), /^<!-- release-coordinator preview -->\n### dev/);
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
