import type { SignatureFinding } from "../approval/ssh-signature.ts";
import type { SignOffStatement } from "./sign-off.ts";

/** A signed item with what its signature is worth. */
export interface CheckedSignOff extends SignatureFinding {
  readonly statement: SignOffStatement;
}

/** One item that has to be signed, as it is asked now. */
export interface SignOffQuestion {
  readonly environment: string;
  /** Pin. */
  readonly release: string;
  readonly item: string;
  readonly minimum: number;
  /** In any one of these; empty: in any role. */
  readonly roles: readonly string[];
  /** Who types, and who wrote the change: nobody signs for their own. */
  readonly authors: readonly string[];
}

export interface SignOffVerdict {
  readonly isSigned: boolean;
  /** Those who count, one a person and a key. */
  readonly by: readonly SignOffStatement[];
  /** Why others do not count. */
  readonly reasons: readonly string[];
}

/** Counts signatures of one item; those of other items are passed over. Pure. */
export function judgeSignOffs(question: SignOffQuestion, signOffs: readonly CheckedSignOff[]): SignOffVerdict {
  const reasons: string[] = [];
  const counted: CheckedSignOff[] = [];
  const own = signOffs.filter(({ statement }) => statement.item === question.item);
  for (const signOff of [...own].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
    const fault = faultOf(question, signOff, counted);
    if (fault === undefined) counted.push(signOff);
    else reasons.push(`what ${signOff.statement.who} signed does not count: ${fault}`);
  }
  return {
    isSigned: counted.length >= question.minimum,
    by: counted.map(({ statement }) => statement),
    reasons,
  };
}

function faultOf(
  { environment, release, roles, authors }: SignOffQuestion,
  { statement, fingerprint, isPerson, hasRole }: CheckedSignOff,
  counted: readonly CheckedSignOff[],
): string | undefined {
  const { who, role } = statement;
  if (fingerprint === undefined) return "the signature is not over what it says";
  if (!isPerson) return `the key is not listed for ${who}`;
  if (!hasRole) return `the key is not listed for the role ${role}`;
  if (statement.environment !== environment) return `it is for ${statement.environment}`;
  if (statement.release !== release) return `it is for ${statement.release}`;
  if (authors.includes(who)) return "nobody signs for their own change";
  if (roles.length > 0 && !roles.includes(role)) return `${role} is not asked; asked are ${roles.join(", ")}`;
  const before = counted.find((other) => other.statement.who === who || other.fingerprint === fingerprint);
  return before === undefined ? undefined : `${before.statement.who} has signed already with this name or this key`;
}

function keyOf({ statement: { at, who, role } }: CheckedSignOff): string {
  return `${at} ${who} ${role}`;
}
