import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

/**
 * One tenant that was shredded. The file is JSON lines, kept outside of Vault beside the backups: a snapshot of Vault that is
 * restored brings a shredded KEK back, this file says that it may open nothing any more. Lines are only ever added; each
 * names the SHA-256 of the line before it, so that one taken out or changed is noticed.
 */
export interface ShredEntry {
  readonly format: 1;
  readonly tenant: string;
  readonly environment: string;
  /** Transit key that was deleted, e.g. `kek-acme`. */
  readonly kek: string;
  /** ISO 8601, UTC. */
  readonly shreddedAt: string;
  /** SHA-256 of the certificate that the tenant got, hex. */
  readonly certificate: string;
  /** SHA-256 of the line before, hex; null in the first one. */
  readonly previous: string | null;
}

/** A shred ledger that cannot be trusted: nothing may be restored until it is. */
export class ShredLedgerError extends Error {
  override readonly name = "ShredLedgerError";
}

/** The line that follows these, ready to be appended with its newline. */
export function shredLine(before: readonly string[], entry: Omit<ShredEntry, "format" | "previous">): string {
  const last = before.at(-1);
  return JSON.stringify({ format: 1, ...entry, previous: last === undefined ? null : digestOf(last) });
}

/**
 * Tenants that the ledger says were shredded; no file = nobody was.
 *
 * @throws {ShredLedgerError} a line is malformed, or does not follow the one before it
 */
export async function readShredLedger(file: string): Promise<ShredEntry[]> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  const lines = text.split("\n").filter((line) => line !== "");
  return lines.map((line, index) => {
    const entry = parseLine(line);
    const before = lines[index - 1];
    const wanted = before === undefined ? null : digestOf(before);
    if (entry !== undefined && entry.previous === wanted) return entry;
    throw new ShredLedgerError(
      `${file}, line ${index + 1}: ${entry === undefined ? "is no entry of format 1" : "does not follow the line before it"}; ` +
        "the ledger was changed: put back a copy that is whole",
    );
  });
}

function parseLine(line: string): ShredEntry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<ShredEntry> | null;
    const texts = [entry?.tenant, entry?.environment, entry?.kek, entry?.shreddedAt, entry?.certificate];
    return entry?.format === 1 && texts.every((value) => typeof value === "string") ? (entry as ShredEntry) : undefined;
  } catch {
    return undefined;
  }
}

function digestOf(line: string): string {
  return createHash("sha256").update(line).digest("hex");
}
