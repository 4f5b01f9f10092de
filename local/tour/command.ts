import { execa } from "execa";
import { isDead, lockOwnerIn } from "../../coordinator/stack-lock.ts";
import type { TourContext } from "./step.ts";

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

/**
 * Runs a command in the platform's environment and shows what it prints as it prints it.
 * @throws when the exit code is not one of `allowed`, with the last lines of the output
 */
export async function command(
  context: TourContext,
  file: string,
  args: readonly string[],
  allowed: readonly number[] = [0],
): Promise<CommandResult> {
  const shown = `${file} ${args.join(" ")}`;
  context.say(`  $ ${shown}`);
  const startMs = Date.now();
  const child = execa(file, args, {
    cwd: context.repository,
    env: context.environment,
    reject: false,
    stdin: "ignore",
  });
  for (const stream of [child.stdout, child.stderr]) {
    let rest = "";
    stream.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.trim() !== "") context.say(`    ${line}`);
    });
  }
  const { exitCode, stdout, stderr } = await child;
  const result = { exitCode: exitCode ?? -1, stdout, stderr, seconds: (Date.now() - startMs) / 1000 };
  if (!allowed.includes(result.exitCode)) throw failure(file, args, result);
  return result;
}

/** `coordinator ...` on the tour's stack file. */
export function coordinator(context: TourContext, args: readonly string[]): Promise<CommandResult> {
  return unlocked(context, "node", ["coordinator/main.ts", ...args, "--config-file", context.stackFile]);
}

/** Plain `pulumi ...` on the tour's stack file. */
export function pulumi(context: TourContext, args: readonly string[]): Promise<CommandResult> {
  const onStack = ["--stack", "dev", "--config-file", context.stackFile, "--non-interactive"];
  return unlocked(context, "pulumi", [...args, ...onStack]);
}

/** Runs a command; a lock whose owner was killed (an earlier `make up`, ended in the middle) is broken, once. */
async function unlocked(context: TourContext, file: string, args: readonly string[]): Promise<CommandResult> {
  const anyExit = Array.from({ length: 256 }, (_, code) => code);
  const first = await command(context, file, args, anyExit);
  if (first.exitCode === 0) return first;
  const said = `${first.stdout}\n${first.stderr}`;
  const owner = lockOwnerIn(said);
  if (owner === undefined || !isDead(owner)) throw failure(file, args, first);
  await command(context, "pulumi", ["cancel", "dev", "--yes", "--non-interactive"]);
  return command(context, file, args);
}

function failure(file: string, args: readonly string[], { exitCode, stdout, stderr }: CommandResult): Error {
  return new Error(`\`${file} ${args.join(" ")}\` ended with ${exitCode}:\n${tail(`${stdout}\n${stderr}`)}`);
}

function tail(text: string): string {
  return text.trim().split("\n").slice(-25).join("\n");
}
