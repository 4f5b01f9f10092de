import { access } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import { EnvironmentStack } from "./environment-stack.ts";
import { StackFile } from "./stack-file.ts";
import type { Terminal } from "./terminal.ts";

/** Options that every command has. */
export interface CommonOptions {
  readonly env: string;
  readonly configFile?: string;
  readonly json?: boolean;
}

/** Where a command runs and where it speaks. */
export interface Surroundings {
  readonly terminal: Terminal;
  /** Folder the command was started in. */
  readonly folder: string;
  /** Told how each command ended. */
  readonly exit: (code: number) => void;
}

/** Gives a command `--env`, `--config-file` and `--json`. */
export function withCommonOptions(command: Command, environmentFrom: "option" | "argument" = "option"): Command {
  const environment = new Option("-e, --env <environment>", "environment = Pulumi stack: dev, staging, prod").argParser(
    environmentName,
  );
  if (environmentFrom === "option") command.addOption(environment.makeOptionMandatory());
  return command
    .option("--config-file <path>", "stack file (default: Pulumi.<env>.yaml beside Pulumi.yaml)")
    .option("--json", "print the result as JSON on stdout");
}

/** @throws {InvalidArgumentError} for what could not be a stack's name */
export function environmentName(value: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/.test(value)) return value;
  throw new InvalidArgumentError(`"${value}" is no environment name; allowed: letters, digits, _ . -, e.g. dev`);
}

/** Folder of the nearest Pulumi.yaml at or above `folder`, as Pulumi itself looks for it. @throws when there is none */
export async function projectFolder(folder: string): Promise<string> {
  for (let current = resolve(folder); ; current = dirname(current)) {
    const isProject = await access(join(current, "Pulumi.yaml")).then(
      () => true,
      () => false,
    );
    if (isProject) return current;
    if (dirname(current) === current) {
      throw new Error(
        `no Pulumi.yaml in ${folder} or above it; run this command inside the release-coordinator checkout`,
      );
    }
  }
}

/** Path of the stack file a command works on. */
export async function stackFilePath(options: CommonOptions, { folder }: Surroundings): Promise<string> {
  const { configFile, env } = options;
  if (configFile === undefined) return join(await projectFolder(folder), `Pulumi.${env}.yaml`);
  return isAbsolute(configFile) ? configFile : resolve(folder, configFile);
}

export async function openStackFile(options: CommonOptions, surroundings: Surroundings): Promise<StackFile> {
  return StackFile.read(await stackFilePath(options, surroundings));
}

export async function openStack(options: CommonOptions, surroundings: Surroundings): Promise<EnvironmentStack> {
  const workDir = await projectFolder(surroundings.folder);
  return EnvironmentStack.select(options.env, workDir, (line) => surroundings.terminal.stderr(`  ${line}\n`));
}
