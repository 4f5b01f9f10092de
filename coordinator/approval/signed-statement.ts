/** What somebody said, with an OpenSSH signature over the canonical JSON of it. */
export interface Signed<Statement> {
  readonly statement: Statement;
  readonly signature: string;
}

/** What a field of a statement may hold. `a line`: text for people, which decides nothing. */
export type FieldKind = "1" | "a text" | "a count" | "a line";

/**
 * Reads a file with a signed statement.
 * @param mend what to do about a file that is none
 * @throws naming each field, what stands there and what may
 */
export function parseSigned<Statement>(
  text: string,
  path: string,
  kinds: Readonly<Record<keyof Statement & string, FieldKind>>,
  mend: string,
): Signed<Statement> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(`${path} is no JSON; ${mend}`);
  }
  const { statement, signature, ...rest } = recordOf(value);
  const fields = recordOf(statement);
  const faults = [
    ...Object.keys(rest).map((key) => `${key} is not allowed`),
    ...Object.entries<FieldKind>(kinds).flatMap(([key, kind]) =>
      isOf(kind, fields[key]) ? [] : [`statement.${key} must be ${kind}`],
    ),
    ...Object.keys(fields)
      .filter((key) => !Object.hasOwn(kinds, key))
      .map((key) => `statement.${key} is not allowed`),
    ...(typeof signature === "string" && signature.startsWith("-----BEGIN SSH SIGNATURE-----")
      ? []
      : ["signature must be an OpenSSH signature"]),
  ];
  if (faults.length > 0) throw new Error(`${path}: ${faults.join("; ")}; ${mend}`);
  return { statement: fields as Statement, signature: signature as string };
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

function isOf(kind: FieldKind, value: unknown): boolean {
  if (kind === "1") return value === 1;
  if (kind === "a count") return Number.isSafeInteger(value) && Number(value) >= 0;
  if (typeof value !== "string") return false;
  return kind === "a text" ? /^[\w@.:+-]{1,120}$/.test(value) : value.length <= 300 && !/\p{C}/u.test(value);
}
