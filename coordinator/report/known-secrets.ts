import { resolveReference } from "../../migrations/reference.ts";
import type { Environment } from "../../releases/environment.ts";
import { withoutUrlPasswords } from "../property-change.ts";

/** The credentials that this process holds for an environment: whatever quotes one of them, a comment must not. */
export interface KnownSecrets {
  /** A copy in which every text is free of them. */
  hide<T>(value: T): T;
}

const shortest = 6;

export function secretsOf({ regions }: Environment): KnownSecrets {
  const urls = regions.map(({ postgres }) => valueOf(postgres.url));
  const tokens = regions.flatMap(({ vault, milvus }) => [vault?.token, milvus?.token]).map(valueOf);
  const passwords = urls.map((url) => (URL.canParse(url) ? new URL(url).password : ""));
  const own = [process.env["PULUMI_CONFIG_PASSPHRASE"] ?? "", ...tokens, ...passwords, ...passwords.map(decode)];
  const values = [...new Set(own)].filter(({ length }) => length >= shortest);
  const clean = (text: string) =>
    values.reduce((left, value) => left.replaceAll(value, "[secret]"), withoutUrlPasswords(text));
  return { hide: <T>(value: T) => hidden(value, clean) as T };
}

function hidden(value: unknown, clean: (text: string) => string): unknown {
  if (typeof value === "string") return clean(value);
  if (value instanceof Date) return value;
  if (Array.isArray(value)) return value.map((each) => hidden(each, clean));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, hidden(each, clean)]));
}

function valueOf(reference: string | undefined): string {
  try {
    return reference === undefined ? "" : resolveReference(reference);
  } catch {
    // Not set: then nothing can quote it.
    return "";
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
