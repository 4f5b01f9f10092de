import type { SignatureFinding } from "./ssh-signature.ts";
import type { ApprovalStatement } from "./statement.ts";

/** An approval with what its signature is worth. */
export interface CheckedApproval extends SignatureFinding {
  readonly statement: ApprovalStatement;
}

/** The change that wants to go, as it is now. */
export interface ApprovalQuestion {
  readonly environment: string;
  readonly release: string;
  readonly digest: string;
  readonly rows: number;
  readonly tenants: number;
  /** Who types, and who wrote the change: none of them approves it. */
  readonly authors: readonly string[];
  readonly minimum: number;
  /** Each must be among those who approve. */
  readonly roles: readonly string[];
}

export interface ApprovalVerdict {
  readonly isApproved: boolean;
  /** Those who count, one a person and a key. */
  readonly by: readonly ApprovalStatement[];
  /** Why others do not count, and who is missing. */
  readonly reasons: readonly string[];
}

/** Beyond this many times the rows or tenants that were shown, an approval is void. */
export const growthLimit = 1.5;

/**
 * Counts approvals: bound to environment, release and digest, signed by a listed key in a role that is asked for, not by an author, not
 * outgrown, one a person and one a key. Pure.
 */
export function judgeApprovals(question: ApprovalQuestion, approvals: readonly CheckedApproval[]): ApprovalVerdict {
  const reasons: string[] = [];
  const counted: CheckedApproval[] = [];
  for (const approval of [...approvals].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
    const fault = faultOf(question, approval, counted);
    if (fault === undefined) counted.push(approval);
    else reasons.push(`approval of ${approval.statement.who} does not count: ${fault}`);
  }
  const by = counted.map(({ statement }) => statement);
  const missing = question.roles.filter((role) => !by.some((each) => each.role === role));
  if (by.length < question.minimum)
    reasons.push(`${question.minimum} people must approve ${question.digest}, ${by.length} did`);
  if (question.minimum > 0) reasons.push(...missing.map((role) => `nobody approved as ${role}`));
  const isApproved = by.length >= question.minimum && (question.minimum === 0 || missing.length === 0);
  return { isApproved, by, reasons };
}

function faultOf(
  question: ApprovalQuestion,
  approval: CheckedApproval,
  counted: readonly CheckedApproval[],
): string | undefined {
  const { statement, fingerprint, isPerson, hasRole } = approval;
  const { environment, release, digest, rows, tenants, role, who } = statement;
  if (fingerprint === undefined) return "its signature is not over what it says";
  if (!isPerson) return `its key is not listed for ${who}`;
  if (!hasRole) return `its key is not listed for the role ${role}`;
  if (environment !== question.environment) return `it is for ${environment}`;
  if (release !== question.release) return `it is for ${release}`;
  if (digest !== question.digest) return `it is for ${digest}, and the preview is ${question.digest} now`;
  if (question.rows > rows * growthLimit) return `${rows} rows were shown, it would move ${question.rows} now`;
  if (question.tenants > tenants * growthLimit)
    return `${tenants} tenants were shown, it would move ${question.tenants} now`;
  if (question.authors.includes(who)) return "nobody approves their own change";
  if (question.roles.length > 0 && !question.roles.includes(role))
    return `${role} is not asked; asked are ${question.roles.join(", ")}`;
  const before = counted.find((other) => other.statement.who === who || other.fingerprint === fingerprint);
  return before === undefined ? undefined : `${before.statement.who} has approved already with this name or this key`;
}

function keyOf({ statement: { who, role, at } }: CheckedApproval): string {
  return `${at} ${who} ${role}`;
}
