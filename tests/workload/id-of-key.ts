import { createHash } from "node:crypto";

/** Id that an idempotency key stands for where the table has no column for it: the same key, the same record. */
export function idOfKey(kind: string, key: string): string {
  const hex = createHash("sha256").update(`${kind}\n${key}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
