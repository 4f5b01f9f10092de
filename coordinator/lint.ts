import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { allReleases } from "../releases/catalog.ts";
import { faultsOfEnvironment } from "../releases/environment.ts";
import { explainFaults, FaultReport } from "../releases/fault.ts";
import type { Fault } from "../releases/fault.ts";
import { pinOf } from "../releases/pin.ts";
import { publishedFaults } from "../releases/published.ts";
import type { Report } from "./outcome.ts";
import { comparePublishedWithMain } from "./published-on-main.ts";
import { projectFolder, stackFilePath } from "./project.ts";
import type { Surroundings } from "./project.ts";
import { StackFile } from "./stack-file.ts";
import { runCommand } from "./terminal.ts";

interface LintOptions {
  readonly env?: string;
  readonly configFile?: string;
  readonly json?: boolean;
  readonly main?: string;
}

export function registerLint(program: Command, surroundings: Surroundings): void {
  program
    .command("lint")
    .description("check stack files, the release catalog and the published list; all faults at once")
    .option("-e, --env <environment>", "only this environment's stack file (default: every Pulumi.<env>.yaml)")
    .option("--config-file <path>", "only this stack file")
    .option("--main <ref>", "branch whose published list this one may only add to (default: origin/main, else main)")
    .option("--json", "print the result as JSON on stdout")
    .addHelpText(
      "after",
      `
Compares releases/published.json with Git's main branch too. Prints the pin of every release. Needs no server.

Examples:
  coordinator lint
  coordinator lint --main origin/release`,
    )
    .action(async (options: LintOptions) => {
      const { terminal, exit } = surroundings;
      exit(await runCommand(terminal, options.json ?? false, () => lint(options, surroundings)));
    });
}

export async function lint(options: LintOptions, surroundings: Surroundings): Promise<Report> {
  const paths = await stackFiles(options, surroundings);
  const subjects: { subject: string; faults: readonly Fault[] }[] = [];
  for (const path of paths) subjects.push({ subject: path, faults: await stackFileFaults(path) });
  subjects.push({ subject: "releases", faults: faultsOf(allReleases) });
  const main = await comparePublishedWithMain(await projectFolder(surroundings.folder), options.main);
  const published = [...faultsOf(() => publishedFaults()), ...main.faults];
  subjects.push({ subject: "releases/published.json", faults: published });

  const bad = subjects.filter(({ faults }) => faults.length > 0);
  const pins = subjects.some(({ subject, faults }) => subject === "releases" && faults.length > 0)
    ? []
    : allReleases().map(pinOf);
  const text = [
    ...bad.map(({ subject, faults }) => explainFaults(subject, faults)),
    ...(bad.length === 0 ? [`${paths.length} stack files, the catalog and the published list are sound`] : []),
    main.branch === undefined
      ? "the published list was not compared: there is no Git branch origin/main or main; git fetch origin main"
      : `compared the published list with ${main.branch}`,
    ...(pins.length === 0 ? [] : [`pins: ${pins.join(", ")}`]),
  ].join("\n");
  return {
    outcome: bad.length === 0 ? "go" : "error",
    text,
    data: { checked: subjects.map(({ subject }) => subject), faults: bad, pins, main: main.branch ?? null },
  };
}

async function stackFiles(options: LintOptions, surroundings: Surroundings): Promise<string[]> {
  const { env, configFile } = options;
  if (configFile !== undefined || env !== undefined)
    return [await stackFilePath({ env: env ?? "", configFile }, surroundings)];
  const folder = await projectFolder(surroundings.folder);
  const names = await readdir(folder);
  return names
    .filter((name) => /^Pulumi\.[^.]+\.yaml$/.test(name))
    .sort()
    .map((name) => join(folder, name));
}

async function stackFileFaults(path: string): Promise<readonly Fault[]> {
  try {
    return faultsOfEnvironment((await StackFile.read(path)).environment(), path);
  } catch (error) {
    const seen = error instanceof Error ? error.message : String(error);
    return [
      {
        path: "(document)",
        seen,
        allowed: "a stack file with config release-coordinator:environment",
        mend: `correct ${path}`,
      },
    ];
  }
}

/** Faults that a check returns or throws as a report. */
function faultsOf(check: () => unknown): readonly Fault[] {
  try {
    const found = check();
    return isFaults(found) ? found : [];
  } catch (error) {
    if (error instanceof FaultReport) return error.faults;
    throw error;
  }
}

function isFaults(value: unknown): value is readonly Fault[] {
  return (
    Array.isArray(value) &&
    value.every((each) => typeof each === "object" && each !== null && "mend" in each && "seen" in each)
  );
}
