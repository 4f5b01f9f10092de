import { execa } from "execa";
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
  if (!allowed.includes(result.exitCode))
    throw new Error(
      `\`${shown}\` ended with ${result.exitCode}, expected ${allowed.join(" or ")}:\n${tail(`${stdout}\n${stderr}`)}`,
    );
  return result;
}

/** `coordinator ...` on the tour's stack file. */
export function coordinator(
  context: TourContext,
  args: readonly string[],
  allowed?: readonly number[],
): Promise<CommandResult> {
  return command(context, "node", ["coordinator/main.ts", ...args, "--config-file", context.stackFile], allowed);
}

/** Plain `pulumi ...` on the tour's stack file. */
export function pulumi(
  context: TourContext,
  args: readonly string[],
  allowed?: readonly number[],
): Promise<CommandResult> {
  return command(
    context,
    "pulumi",
    [...args, "--stack", "dev", "--config-file", context.stackFile, "--non-interactive"],
    allowed,
  );
}

function tail(text: string): string {
  return text.trim().split("\n").slice(-25).join("\n");
}
