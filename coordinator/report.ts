import { readFile, readdir } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { Command } from "commander";
import { worst } from "./outcome.ts";
import type { Report } from "./outcome.ts";
import { environmentName, projectFolder } from "./project.ts";
import type { Surroundings } from "./project.ts";
import { renderComment } from "./report/comment.ts";
import { gatherReport } from "./report/gather-report.ts";
import type { ReportOptions } from "./report/gather-report.ts";
import { parseReports } from "./report/report-file.ts";
import { Sight } from "./report/sight.ts";
import type { StackReport } from "./report/stack-report.ts";
import { runCommand } from "./terminal.ts";

interface ReportCommandOptions {
  readonly env: string;
  readonly configFile?: string;
  readonly exact?: boolean;
  readonly from?: readonly string[];
  readonly json?: boolean;
}

export function registerReport(program: Command, surroundings: Surroundings): void {
  program
    .command("report")
    .description("the comment of a pull request: what would change, what stands in the way, and can I go back")
    .option("-e, --env <environment>", "dev, staging, prod, or all: every Pulumi.<env>.yaml", environmentName, "all")
    .option("--config-file <path>", "stack file of the one environment that is named")
    .option("--exact", "visit every tenant's ledger instead of reading the projection")
    .option("--from <files...>", "render what report --json has written, and look at nothing")
    .option("--json", "print the same facts as JSON on stdout")
    .addHelpText(
      "after",
      `
Markdown under 60 KB on stdout, also when a preview fails: what could not be seen is named. Changes nothing.
The exit code is that of the worst environment.

Examples:
  coordinator report --env dev
  coordinator report --env prod --json > prod.json
  coordinator report --from staging.json prod.json`,
    )
    .action(async (options: ReportCommandOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => report(options, surroundings)));
    });
}

export async function report(options: ReportCommandOptions, surroundings: Surroundings): Promise<Report> {
  const { from, env, configFile, exact } = options;
  if (from !== undefined) return reportOf(await readReports(from, surroundings));
  const environments = env === "all" ? await environmentsIn(surroundings) : [env];
  if (configFile !== undefined && env === "all")
    throw new Error("--config-file is the stack file of one environment; name it with --env");
  const reports: StackReport[] = [];
  // One after the other: each preview starts the program, its plugins and a session with every server.
  for (const environment of environments) {
    surroundings.terminal.stderr(`${environment} ...\n`);
    const each: ReportOptions = { env: environment, configFile, ...(exact ? { exact } : {}) };
    reports.push(await gatherReport(each, surroundings));
  }
  return reportOf(reports);
}

/** The comment, its JSON twin and the worst outcome. */
export function reportOf(reports: readonly StackReport[]): Report {
  return {
    outcome: worst(reports.map(({ outcome }) => outcome)),
    text: renderComment(reports),
    data: { stacks: reports },
    isDocument: true,
  };
}

/** A file that a job could not write or spoilt is part of the comment: its fault stands where its environment would. */
async function readReports(paths: readonly string[], { folder }: Surroundings): Promise<StackReport[]> {
  const found: StackReport[] = [];
  for (const path of paths) {
    const sight = new Sight();
    const reports = await sight.look(path, async () => parseReports(await readReport(resolve(folder, path)), path));
    found.push(...(reports ?? [sight.blank(basename(path, ".json"))]));
  }
  return found;
}

function readReport(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      `${path} cannot be read (${error.code}); write it: coordinator report --env <environment> --json > ${path}`,
    );
  });
}

async function environmentsIn({ folder }: Surroundings): Promise<string[]> {
  const names = await readdir(await projectFolder(folder));
  const found = names.flatMap((name) => /^Pulumi\.([^.]+)\.yaml$/.exec(name)?.[1] ?? []).sort();
  if (found.length === 0)
    throw new Error(`there is no Pulumi.<env>.yaml beside Pulumi.yaml; Pulumi.dev.yaml shows one`);
  return found;
}
