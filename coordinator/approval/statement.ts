import { canonicalJson } from "../../releases/content-hash.ts";

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
export interface SignedApproval {
  readonly statement: ApprovalStatement;
  /** OpenSSH signature over the canonical JSON of the statement. */
  readonly signature: string;
}

/** Separates these signatures from all others that the same key makes. */
export const approvalNamespace = "release-coordinator-approval";

/** The bytes that are signed. */
export function signedText(statement: ApprovalStatement): string {
  return canonicalJson(statement);
}

/**
 * Reads an approval file.
 * @throws naming the field, what stands there and what may
 */
export function parseApproval(text: string, path: string): SignedApproval {
  const mend = `remove ${path} and approve again: coordinator approve --help`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`${path} is no JSON; ${mend}`);
  }
  const { statement, signature, ...rest } = (typeof value === "object" && value !== null ? value : {}) as Record<
    string,
    unknown
  >;
  const fields = (typeof statement === "object" && statement !== null ? statement : {}) as Record<string, unknown>;
  const faults = [
    ...Object.keys(rest).map((key) => `${key} is not allowed`),
    ...Object.entries(kinds).flatMap(([key, kind]) =>
      isOf(kind, fields[key]) ? [] : [`statement.${key} must be ${kind}`],
    ),
    ...Object.keys(fields)
      .filter((key) => !(key in kinds))
      .map((key) => `statement.${key} is not allowed`),
    ...(typeof signature === "string" && signature.startsWith("-----BEGIN SSH SIGNATURE-----")
      ? []
      : ["signature must be an OpenSSH signature"]),
  ];
  if (faults.length > 0) throw new Error(`${path}: ${faults.join("; ")}; ${mend}`);
  return { statement: fields as unknown as ApprovalStatement, signature: signature as string };
}

const kinds: Readonly<Record<keyof ApprovalStatement, "1" | "a text" | "a count">> = {
  format: "1",
  environment: "a text",
  release: "a text",
  digest: "a text",
  rows: "a count",
  tenants: "a count",
  role: "a text",
  who: "a text",
  at: "a text",
};

function isOf(kind: "1" | "a text" | "a count", value: unknown): boolean {
  if (kind === "1") return value === 1;
  if (kind === "a count") return Number.isSafeInteger(value) && Number(value) >= 0;
  return typeof value === "string" && /^[\w@.:+-]{1,120}$/.test(value);
}
