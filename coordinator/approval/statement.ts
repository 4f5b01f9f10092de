import { canonicalJson } from "../../releases/content-hash.ts";
import { parseSigned } from "./signed-statement.ts";
import type { Signed } from "./signed-statement.ts";

/** What somebody agrees to, and signs: this change, shown in this size, in this role. */
export interface ApprovalStatement {
  readonly format: 1;
  readonly environment: string;
  /** `r2@4f1c9e2a0b11`. */
  readonly release: string;
  /** Approval digest of what was reviewed. */
  readonly digest: string;
  /** Rows and tenants that the preview showed; beyond 1.5 times of either the approval is void. */
  readonly rows: number;
  readonly tenants: number;
  readonly role: string;
  /** Principal in the allowed-signers file. */
  readonly who: string;
  /** ISO time of the signer's clock; for people, nothing is decided by it. */
  readonly at: string;
}

/** An approval as it lies in Git. */
export type SignedApproval = Signed<ApprovalStatement>;

/** Separates these signatures from all others that the same key makes. */
export const approvalNamespace = "release-coordinator-approval";

/** The bytes that are signed. */
export function signedText(statement: object): string {
  return canonicalJson(statement);
}

/**
 * Reads an approval file.
 * @throws naming the field, what stands there and what may
 */
export function parseApproval(text: string, path: string): SignedApproval {
  return parseSigned<ApprovalStatement>(
    text,
    path,
    kinds,
    `remove ${path} and approve again: coordinator approve --help`,
  );
}

const kinds = {
  format: "1",
  environment: "a text",
  release: "a text",
  digest: "a text",
  rows: "a count",
  tenants: "a count",
  role: "a text",
  who: "a text",
  at: "a text",
} as const;
