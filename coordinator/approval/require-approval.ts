import type { Environment } from "../../releases/environment.ts";
import { pinOf } from "../../releases/pin.ts";
import { programAuthors } from "../git.ts";
import { operatorName } from "../operator.ts";
import { Refusal } from "../outcome.ts";
import { projectFolder } from "../project.ts";
import type { Surroundings } from "../project.ts";
import { approveCommand, sizeOf } from "../report/stack-report.ts";
import { countMigrations } from "../report/wave-migration.ts";
import { ApprovalFiles } from "./approval-files.ts";
import type { BegunChange } from "./continued-change.ts";
import { judgeApprovals } from "./judge-approvals.ts";
import type { ApprovalVerdict } from "./judge-approvals.ts";
import { newestRelease } from "./reviewed-change.ts";

/** The change that is about to be applied. */
export interface ApprovalRequest {
  /** As it would be applied. */
  readonly environment: Environment;
  /** Which of the stack file's quorums is asked. */
  readonly act: "promotion" | "finalize";
  readonly digest: string;
  /** What was approved before and is not finished, when this is the rest of it. */
  readonly continued: BegunChange | undefined;
  /** The digest that the caller has read; undefined: whatever it is. */
  readonly read: string | undefined;
}

/**
 * Asks for signed approvals of exactly this preview where the stack file wants them, or of the change whose rest it is; others are
 * counted all the same.
 * @throws {Refusal} needs-human, with who is missing, why an approval does not count, and the command to approve
 */
export async function requireApproval(
  { environment, act, digest, continued, read }: ApprovalRequest,
  { folder }: Surroundings,
): Promise<ApprovalVerdict> {
  if (read !== undefined && read !== digest && read !== continued?.digest) {
    throw new Refusal("needs-human", [
      `${read} was read, but the preview is ${digest} now: review it again (coordinator diff)`,
    ]);
  }
  const project = await projectFolder(folder);
  const { minimum, roles } = environment.approvals[act];
  const to = newestRelease(environment.pins);
  const given = await new ApprovalFiles(project).read(environment.name);
  if (minimum === 0 && given.length === 0) return { isApproved: true, by: [], reasons: [] };
  const size = sizeOf(await countMigrations(environment));
  const authors = [operatorName(), ...(await programAuthors(project))];
  const question = { environment: environment.name, release: pinOf(to), digest, ...size, authors, minimum, roles };
  const verdict = judgeApprovals(question, given);
  if (verdict.isApproved) return verdict;
  if (continued !== undefined) {
    const before = judgeApprovals({ ...question, digest: continued.digest }, given);
    if (before.isApproved) return before;
  }
  const command = approveCommand(to.id, environment.name, digest, size, roles);
  throw new Refusal("needs-human", [...verdict.reasons, `to approve: ${command}, then commit what it writes`]);
}
