import type { FastifySchema } from "fastify";
import { ReplyError } from "./reply-error.ts";

/** Largest request the services read, bytes; bodies in practice stay below 64 KiB. Above: 413. */
export const REQUEST_LIMIT_BYTES = 1_048_576;

/** Items on one page of a list, 1 to 200. */
const PAGE_DEFAULT = 50;
const PAGE_MOST = 200;

const uuid = { type: "string", pattern: "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" } as const;
const title = { type: "string", minLength: 1, maxLength: 200 } as const;
const text = { type: "string" } as const;
const limit = { type: "string", pattern: "^[0-9]{1,3}$" } as const;
const key = {
  type: "object",
  properties: { "idempotency-key": { type: "string", minLength: 1, maxLength: 200 } },
} as const;

const object = (properties: Record<string, unknown>, required: readonly string[]): unknown => ({
  type: "object",
  properties,
  required,
  additionalProperties: false,
});

/** JSON schemas of everything a caller may send. */
export const INPUT = {
  prompt: {
    headers: key,
    body: object({ title, body: text, conversationId: { anyOf: [uuid, { type: "null" }] } }, ["title", "body"]),
  },
  conversation: { headers: key, body: object({ title }, ["title"]) },
  message: {
    headers: key,
    body: object({ role: { type: "string", enum: ["user", "assistant", "system"] }, body: text }, ["role", "body"]),
  },
  page: { querystring: object({ after: uuid, limit }, []) },
  search: { querystring: object({ q: { type: "string", minLength: 1, maxLength: 2_000 }, limit }, ["q"]) },
} satisfies Record<string, FastifySchema>;

/** Page size asked for. @throws ReplyError invalid outside 1 to 200 */
export function pageSize(value: string | undefined): number {
  const size = value === undefined ? PAGE_DEFAULT : Number(value);
  if (size < 1 || size > PAGE_MOST) throw new ReplyError("invalid", `limit is ${size}: allowed are 1 to ${PAGE_MOST}`);
  return size;
}

/** A record's id from the path. @throws ReplyError not-found for anything that cannot be one */
export function recordId(value: string, thing: string): string {
  if (!new RegExp(uuid.pattern).test(value)) throw new ReplyError("not-found", `no ${thing} ${value.slice(0, 60)}`);
  return value;
}

/**
 * Text that every release can store. NUL is refused by all of them: PostgreSQL text cannot hold it, so a sealed body
 * with one could never be brought back. So is half a surrogate pair: UTF-8 would silently replace it.
 * @throws ReplyError invalid
 */
export function storableText(value: string, field: string): string {
  if (value.includes("\0")) throw new ReplyError("invalid", `${field} contains U+0000, which no release can store`);
  if (!value.isWellFormed()) throw new ReplyError("invalid", `${field} contains half a surrogate pair`);
  return value;
}
