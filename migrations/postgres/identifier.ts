import { createHash } from "node:crypto";
import pg from "pg";

/** Longest identifier that PostgreSQL keeps, in bytes; it cuts longer ones silently, so two could become one. */
export const identifierLimitBytes = 63;

/** `"na""me"`: any text as an identifier. */
export function quoteName(name: string): string {
  return pg.escapeIdentifier(name);
}

/** `"schema"."table"`. */
export function quoteTable(schema: string, table: string): string {
  return `${quoteName(schema)}.${quoteName(table)}`;
}

/** Any text as a string literal, also where no parameter is allowed: COPY, DDL, function bodies. */
export function quoteLiteral(text: string): string {
  return pg.escapeLiteral(text);
}

/**
 * A name made of parts, e.g. `prompt_bodies_prompt_id_fkey`. Beyond 63 bytes it ends in 8 hex digits of its hash, so
 * that different parts never share a name.
 */
export function derivedName(...parts: string[]): string {
  const name = parts.join("_");
  if (Buffer.byteLength(name) <= identifierLimitBytes) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 8);
  let kept = name;
  while (Buffer.byteLength(kept) > identifierLimitBytes - digest.length - 1) kept = [...kept].slice(0, -1).join("");
  return `${kept}_${digest}`;
}
