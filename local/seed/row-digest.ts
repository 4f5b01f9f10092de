import { createHash } from "node:crypto";

/** One stored body, identified by what it belongs to. */
export interface BodyDigest {
  readonly kind: "prompt" | "message";
  readonly id: string;
  /** sha256 of the UTF-8 text, hex. */
  readonly sha256: string;
}

export const sha256 = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex");

/** sha256 over all rows whatever their order: equal exactly when the same records hold the same texts. */
export function digestOf(rows: readonly BodyDigest[]): string {
  const lines = rows.map((row) => `${row.kind} ${row.id} ${row.sha256}\n`).sort();
  const hash = createHash("sha256");
  for (const line of lines) hash.update(line);
  return hash.digest("hex");
}
