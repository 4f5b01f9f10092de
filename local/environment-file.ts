import { delimiter, join } from "node:path";
import type { Endpoints } from "./endpoints.ts";
import { repositoryFolder } from "./folders.ts";
import { writeSecretFile } from "./servers/secret-file.ts";
import { postgresBinFolder } from "./toolchain/postgres.ts";

export interface EnvironmentArgs {
  readonly homeFolder: string;
  readonly endpoints: Endpoints;
  readonly postgresUrl: string;
  readonly vaultAddress: string;
  readonly vaultToken: string;
  readonly dockerHost: string;
  readonly python: string;
  readonly passphraseFile: string;
  /** Folders of the tools, first one first. */
  readonly binFolders: readonly string[];
}

/** Folders that come first on PATH: Node 24 and the libraries' programs, then the tools. */
const pathFolders = (args: EnvironmentArgs): string[] => [
  join(repositoryFolder, "node_modules", ".bin"),
  ...args.binFolders,
];

/** Every variable that the rest of the project reads of a local platform, PATH left out. */
function variables(args: EnvironmentArgs): Record<string, string> {
  const inHome = (name: string): string => join(args.homeFolder, name);
  return {
    RC_HOME: args.homeFolder,
    RC_POSTGRES_URL: args.postgresUrl,
    RC_VAULT_ADDR: args.vaultAddress,
    RC_VAULT_TOKEN: args.vaultToken,
    RC_IMAGES_FILE: inHome("images.json"),
    RC_FLEET_BASE_PORT: String(args.endpoints.fleetBasePort),
    RC_GATEWAY_URL: `http://127.0.0.1:${args.endpoints.gatewayPort}`,
    RC_FLAGS_FILE: inHome("flags.json"),
    RC_PYTHON: args.python,
    RC_POSTGRES_BIN: postgresBinFolder(),
    DOCKER_HOST: args.dockerHost,
    PULUMI_HOME: inHome("pulumi"),
    PULUMI_BACKEND_URL: `file://${inHome("backend")}`,
    PULUMI_CONFIG_PASSPHRASE_FILE: args.passphraseFile,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_PARALLEL_DIFF: "true",
    // Program, provider and plugins are Node processes that live for seconds: half of their time was compiling.
    NODE_COMPILE_CACHE: inHome("compile-cache"),
  };
}

/** The platform's variables on top of this process's own. */
export function platformEnvironment(
  args: EnvironmentArgs,
  inherited: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  // A passphrase of the user's own shell would win over the platform's file.
  const own = Object.entries(inherited).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && entry[0] !== "PULUMI_CONFIG_PASSPHRASE",
  );
  const folders = pathFolders(args);
  // The environment may have been sourced before: no folder twice, or PATH grows with each run.
  const rest = (inherited["PATH"] ?? "").split(delimiter).filter((folder) => !folders.includes(folder));
  return { ...Object.fromEntries(own), ...variables(args), PATH: [...folders, ...rest].join(delimiter) };
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** The file that `source .local/env` reads; it holds secrets, so only we can read it. */
export async function writeEnvironmentFile(args: EnvironmentArgs): Promise<string> {
  const lines = Object.entries(variables(args)).map(([name, value]) => `export ${name}=${quoted(value)}`);
  const path = `export PATH=${quoted(pathFolders(args).join(delimiter))}:"$PATH"`;
  const file = join(args.homeFolder, "env");
  const head = `# Written by make up. Use: source ${quoted(file)}`;
  await writeSecretFile(file, `${[head, ...lines, path, "unset PULUMI_CONFIG_PASSPHRASE"].join("\n")}\n`);
  return file;
}
