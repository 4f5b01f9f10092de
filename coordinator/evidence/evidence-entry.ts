import { createHash } from "node:crypto";
import { contentHash } from "../../releases/content-hash.ts";
import type { ReviewedScope } from "../approval/reviewed-change.ts";
import type { ApprovalStatement } from "../approval/statement.ts";
import type { Gate } from "../gate/gate.ts";
import type { Pins } from "../history/pinned-state.ts";
import type { Outcome } from "../outcome.ts";

/** Acts that move pins or positions, by an update. */
const moves = ["promotion", "rollback", "finalize"] as const;

/** What a command may do to an environment. */
export type Act =
  | (typeof moves)[number]
  | "verification"
  | "hold"
  | "unhold"
  | "rescission"
  | "maintenance"
  | "onboarding"
  | "backup"
  | "restore"
  | "keys"
  | "images"
  | "decommission";

/** Did the act move the environment? All others leave pins and positions as they are. */
export function isMove(act: Act): boolean {
  return (moves as readonly Act[]).includes(act);
}

/** What somebody did to an environment. */
export interface EvidenceFacts {
  readonly act: Act;
  /** An act that began and never ended was killed, or its end could not be written. */
  readonly phase: "begun" | "ended";
  readonly who: string;
  readonly from: Pins;
  readonly to: Pins;
  /** Approval digest of what was applied; null where none is asked. */
  readonly digest: string | null;
  /** What that digest is over, so that what is left of the change can be told from another one; null where none is asked. */
  readonly reviewed?: ReviewedScope | null;
  /** null while it runs. */
  readonly outcome: Outcome | null;
  readonly gates: readonly Gate[];
  /** Approvals that counted. */
  readonly approvals: readonly ApprovalStatement[];
  /** Pins that were found to work. */
  readonly verified: readonly string[];
  /** Reasons, lifted holds, overrides: what a person said or was told. */
  readonly notes: readonly string[];
  readonly seconds: number | null;
}

/** One link of the chain, as it lies beside the state. */
export interface EvidenceEntry extends EvidenceFacts {
  readonly format: 1;
  readonly project: string;
  readonly environment: string;
  /** From 1, without gaps. */
  readonly sequence: number;
  /** ISO time of the clock of who wrote it. */
  readonly at: string;
  /** sha256 of the bytes of the entry before; 64 zeros in the first one. */
  readonly previous: string;
  /** sha256 of the canonical JSON of this entry without this field. */
  readonly hash: string;
}

/** Where a chain ends. */
export interface EvidenceHead {
  /** 0: it is empty. */
  readonly sequence: number;
  /** sha256 of the last entry's bytes; 64 zeros when it is empty. */
  readonly link: string;
}

export const emptyHead: EvidenceHead = { sequence: 0, link: "0".repeat(64) };

/** sha256 of an entry's bytes: what the next one names. */
export function linkOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** The text of an entry, its hash included. */
export function sealed(entry: Omit<EvidenceEntry, "hash">): string {
  return `${JSON.stringify({ ...entry, hash: contentHash(entry) }, null, 2)}\n`;
}

/**
 * Reads an entry and holds it against its own hash.
 * @throws saying what is wrong with it
 */
export function parseEntry(text: string): EvidenceEntry {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error("it is no JSON");
  }
  const { hash, ...rest } = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  if (rest["format"] !== 1) throw new Error(`its format is ${JSON.stringify(rest["format"])}, allowed is 1`);
  if (hash !== contentHash(rest)) throw new Error("it was edited: its hash is not that of what it says");
  return value as EvidenceEntry;
}
