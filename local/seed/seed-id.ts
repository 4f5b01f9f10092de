import { createHash } from "node:crypto";

/** Kinds of seeded rows that have an id of their own. */
export type SeedKind = "conversation" | "prompt" | "message" | "chunk" | "marker";

/** Number from 0 to 2^32 - 1 that belongs to one row: choices that look random and are the same in every run. */
export function seedNumber(tenant: string, kind: SeedKind, index: number): number {
  return digestOf(tenant, kind, index).readUInt32BE(28);
}

/** Binary uuid (version 8 of RFC 9562) of one row; the same tenant, kind and index have the same id in every run. */
export function seedId(tenant: string, kind: SeedKind, index: number): Buffer {
  const id = Buffer.from(digestOf(tenant, kind, index).subarray(0, 16));
  id[6] = ((id[6] ?? 0) & 0x0f) | 0x80;
  id[8] = ((id[8] ?? 0) & 0x3f) | 0x80;
  return id;
}

/** Text form of a binary uuid, as PostgreSQL prints it. */
export function uuidText(id: Buffer): string {
  return id.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function digestOf(tenant: string, kind: SeedKind, index: number): Buffer {
  return createHash("sha256").update(`seed\n${tenant}\n${kind}\n${index}`).digest();
}
