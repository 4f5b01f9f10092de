import { Command, CommanderError } from "commander";
import { registerApprove } from "./approve.ts";
import { registerBackup } from "./backup.ts";
import { registerCheck } from "./check.ts";
import { registerCompletion } from "./completion.ts";
import { registerDecommission } from "./decommission.ts";
import { registerDiff } from "./diff.ts";
import { registerDoctor } from "./doctor.ts";
import { registerEvidence } from "./evidence.ts";
import { registerFinalize } from "./finalize.ts";
import { registerHold } from "./hold.ts";
import { registerHistory } from "./history.ts";
import { registerImages } from "./images.ts";
import { registerKeep } from "./keep.ts";
import { registerKeys } from "./keys.ts";
import { registerLint } from "./lint.ts";
import { registerMaintenance } from "./maintenance.ts";
import { registerPapers } from "./papers.ts";
import { registerPromote } from "./promote.ts";
import { registerReport } from "./report.ts";
import { registerRescind } from "./rescind.ts";
import { registerRestore } from "./restore.ts";
import { registerRollback } from "./rollback.ts";
import { registerSign } from "./sign.ts";
import { registerStatus } from "./status.ts";
import { registerTenant } from "./tenant.ts";
import { registerVerify } from "./verify.ts";
import { exitCodes } from "./outcome.ts";
import type { Surroundings } from "./project.ts";
import type { Terminal } from "./terminal.ts";

const registrations = [
  registerStatus,
  registerDiff,
  registerReport,
  registerCheck,
  registerApprove,
  registerSign,
  registerPromote,
  registerRollback,
  registerFinalize,
  registerVerify,
  registerHistory,
  registerPapers,
  registerEvidence,
  registerKeep,
  registerTenant,
  registerMaintenance,
  registerBackup,
  registerRestore,
  registerKeys,
  registerDecommission,
  registerHold,
  registerRescind,
  registerImages,
  registerDoctor,
  registerLint,
  registerCompletion,
];

const lessons = `
Exit codes: 0 go or done, 1 error, 2 no-go, 3 needs a human or time.

Examples:
  coordinator status --env dev               where every wave is, and can I go back
  coordinator diff --env dev                 what an update would change
  coordinator report                         the comment of a pull request, all environments
  coordinator promote r2 --env dev           move to the next release
  coordinator rollback dev --dry-run         what going back would take
`;

/**
 * Runs one command line.
 * @param words arguments behind the program's name
 * @param folder where the command was started; the project is the nearest Pulumi.yaml at or above it
 * @returns the exit code
 */
export async function runCommandLine(words: readonly string[], terminal: Terminal, folder: string): Promise<number> {
  let exitCode = exitCodes.go;
  const surroundings: Surroundings = { terminal, folder, exit: (code) => void (exitCode = code) };
  const program = new Command("coordinator")
    .description("moves an environment to a release, and back, without losing a row")
    .addHelpText("after", lessons)
    .configureOutput({ writeOut: terminal.stdout, writeErr: terminal.stderr })
    .exitOverride();
  for (const register of registrations) register(program, surroundings);
  for (const command of allCommands(program)) {
    command
      .exitOverride()
      .configureOutput({ writeOut: terminal.stdout, writeErr: terminal.stderr })
      .showHelpAfterError();
  }
  try {
    await program.parseAsync([...words], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? exitCodes.go : exitCodes.error;
  }
  return exitCode;
}

function allCommands(command: Command): readonly Command[] {
  return command.commands.flatMap((child) => [child, ...allCommands(child)]);
}
