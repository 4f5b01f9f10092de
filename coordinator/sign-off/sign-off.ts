import { parseSigned } from "../approval/signed-statement.ts";
import type { Signed } from "../approval/signed-statement.ts";

/** What somebody says of one item of a release's checklist, and signs. */
export interface SignOffStatement {
  readonly format: 1;
  readonly environment: string;
  /** `r2@4f1c9e2a0b11`: a corrected release is another one, to be signed anew. */
  readonly release: string;
  /** Id of the item, or of the human gate that it stands for. */
  readonly item: string;
  /** What was looked at and found, e.g. a ticket; for people, nothing is decided by it. */
  readonly found: string;
  readonly role: string;
  /** Principal in the allowed-signers file. */
  readonly who: string;
  /** ISO time of the signer's clock; for people. */
  readonly at: string;
}

export type SignOff = Signed<SignOffStatement>;

/** Separates these signatures from approvals: neither counts as the other. */
export const signOffNamespace = "release-coordinator-checklist";

/**
 * Reads the file of a signed item.
 * @throws naming the field, what stands there and what may
 */
export function parseSignOff(text: string, path: string): SignOff {
  return parseSigned<SignOffStatement>(text, path, kinds, `remove ${path} and sign again: coordinator sign --help`);
}

const kinds = {
  format: "1",
  environment: "a text",
  release: "a text",
  item: "a text",
  found: "a line",
  role: "a text",
  who: "a text",
  at: "a text",
} as const;
