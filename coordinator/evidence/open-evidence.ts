import { openBackendFiles } from "../backend/backend-files.ts";
import type { EnvironmentStack } from "../environment-stack.ts";
import { openStack } from "../project.ts";
import type { CommonOptions, Surroundings } from "../project.ts";
import { EvidenceLog } from "./evidence-log.ts";

/**
 * The evidence beside the state of a stack.
 * @returns undefined for a backend whose files are out of reach (Pulumi Cloud, Azure, Google)
 */
export async function openEvidence(stack: EnvironmentStack): Promise<EvidenceLog | undefined> {
  const files = await openBackendFiles(await stack.backendUrl());
  return files && new EvidenceLog(files, { project: stack.project, environment: stack.name });
}

/** The same for a command that has no other use for the stack. */
export async function openEvidenceOf(
  options: CommonOptions,
  surroundings: Surroundings,
): Promise<EvidenceLog | undefined> {
  return openEvidence(await openStack(options, surroundings));
}
