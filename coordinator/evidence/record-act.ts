import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { LocalWorkspace } from "@pulumi/pulumi/automation/index.js";
import { parse } from "yaml";
import type { Environment } from "../../releases/environment.ts";
import { openBackendFiles } from "../backend/backend-files.ts";
import { projectFolder } from "../project.ts";
import type { Outcome } from "../outcome.ts";
import type { Surroundings } from "../project.ts";
import { filled } from "./act-evidence.ts";
import type { EvidenceFacts } from "./evidence-entry.ts";
import { EvidenceLog } from "./evidence-log.ts";

/** What a command did that moves no pin: a hold, a backup, a key. */
export type SideAct = Pick<EvidenceFacts, "act" | "notes"> &
  Partial<Pick<EvidenceFacts, "phase" | "outcome" | "seconds">>;

/**
 * Adds what a command did to the evidence. It has been done by then, and in an emergency nobody waits for a backend: when it
 * cannot be written, that is said and the command goes on.
 * @param act ended and good unless it says otherwise; what destroys something also says that it begins
 */
export async function recordAct(environment: Environment, act: SideAct, surroundings: Surroundings): Promise<void> {
  const { terminal, folder } = surroundings;
  let log: EvidenceLog | undefined;
  try {
    const project = await projectFolder(folder);
    const files = await openBackendFiles(await backendUrl(project));
    const { name } = parse(await readFile(join(project, "Pulumi.yaml"), "utf8")) as { name: string };
    log = files && new EvidenceLog(files, { project: name, environment: environment.name });
    const ended = act.phase === "begun" ? {} : ({ outcome: "go" } as const);
    await log?.append(filled({ from: environment.pins, to: environment.pins, ...ended, ...act }));
  } catch (error) {
    terminal.stderr(`warning: the evidence could not be written: ${(error as Error).message}\n`);
  } finally {
    await log?.close();
  }
}

/**
 * Records that something begins, does it, and records how it ended: for what destroys or rebuilds.
 * @param outcomeOf what a result that did not throw means @default go
 * @throws what the work throws, after it was recorded
 */
export async function recorded<Result>(
  environment: Environment,
  { act, notes }: Pick<SideAct, "act" | "notes">,
  surroundings: Surroundings,
  work: () => Promise<Result>,
  outcomeOf: (result: Result) => Outcome = () => "go",
): Promise<Result> {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  await recordAct(environment, { act, notes, phase: "begun" }, surroundings);
  try {
    const result = await work();
    await recordAct(environment, { act, notes, outcome: outcomeOf(result), seconds: seconds() }, surroundings);
    return result;
  } catch (error) {
    const why = [...notes, error instanceof Error ? error.message : String(error)];
    await recordAct(environment, { act, notes: why, outcome: "error", seconds: seconds() }, surroundings);
    throw error;
  }
}

/** Without opening the stack: a hold is placed also where there is none yet. */
async function backendUrl(project: string): Promise<string> {
  const named = process.env["PULUMI_BACKEND_URL"];
  if (named !== undefined) return named;
  return (await (await LocalWorkspace.create({ workDir: project })).whoAmI()).url ?? "";
}
