import type { z } from "zod";

/** One thing wrong with a document: where, what stands there, what may stand there, and what to do. */
export interface Fault {
  /** Dotted path inside the document, e.g. `pins.canary.now`; `(document)` for the whole. */
  readonly path: string;
  /** The value seen, as JSON, cut at 120 characters; never the text of a secret. */
  readonly seen: string;
  readonly allowed: string;
  /** The edit or the command that mends it. */
  readonly mend: string;
}

/** What a check of ours hands through zod to its fault. */
export interface FaultHint {
  readonly allowed: string;
  readonly mend?: string;
  /** The value may be a password that was pasted where a reference belongs: it is not repeated. */
  readonly isSecret?: boolean;
}

/** Every fault of one document in one error: nobody should need five runs to find five typing errors. */
export class FaultReport extends Error {
  readonly subject: string;
  readonly faults: readonly Fault[];

  constructor(subject: string, faults: readonly Fault[]) {
    super(explainFaults(subject, faults));
    this.name = "FaultReport";
    this.subject = subject;
    this.faults = faults;
  }
}

export function explainFaults(subject: string, faults: readonly Fault[]): string {
  const head = `${subject} has ${faults.length} ${faults.length === 1 ? "fault" : "faults"}:`;
  const body = faults.map((fault, index) =>
    [
      `  ${index + 1}. ${fault.path}`,
      `     seen:    ${fault.seen}`,
      `     allowed: ${fault.allowed}`,
      `     mend:    ${fault.mend}`,
    ].join("\n"),
  );
  return [head, ...body].join("\n");
}

export function explainPath(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "(document)" : path.map(String).join(".");
}

export function explainValue(value: unknown): string {
  if (value === undefined) return "nothing";
  const plain = typeof value === "bigint" ? `${value}n` : (JSON.stringify(value) ?? typeof value);
  const text = plain.replaceAll(/\/\/[^/@\s"]+@/g, "//[secret]@");
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

/**
 * The faults behind zod's issues.
 * @param file where the reader has to edit, e.g. `releases/r2.ts`
 */
export function faultsOfIssues(issues: readonly z.core.$ZodIssue[], input: unknown, file: string): Fault[] {
  return issues.flatMap((issue) => {
    const seen = valueAt(input, issue.path);
    const { path } = issue;
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => misspeltKey(key, issue.message, file, path));
    }
    if (issue.code === "invalid_key") {
      const hint = hintOf(issue.issues[0]) ?? { allowed: issue.message };
      return [faultAt(path, JSON.stringify(issue.path.at(-1)), hint, file)];
    }
    const hint = hintOf(issue) ?? { allowed: issue.message };
    return [
      faultAt(
        path,
        hint.isSecret && seen !== undefined ? "[a literal value, not shown]" : explainValue(seen),
        hint,
        file,
      ),
    ];
  });
}

/** A fault of a check that looks at more than one field. */
export function faultAt(path: readonly PropertyKey[], seen: string, hint: FaultHint, file: string): Fault {
  const where = explainPath(path);
  const mend = hint.mend ?? `${seen === "nothing" ? `add ${where} to` : `correct ${where} in`} ${file}`;
  return { path: where, seen, allowed: hint.allowed, mend };
}

function misspeltKey(key: string, known: string, file: string, path: readonly PropertyKey[]): Fault {
  const near = known.split(", ").find((candidate) => isNear(candidate, key));
  const mend = near === undefined ? `remove ${key} from ${file}` : `write ${near} instead of ${key} in ${file}`;
  // The value is not shown: behind a misspelt `token` stands a token.
  return faultAt([...path, key], `the key ${key}`, { allowed: `one of the keys ${known}`, mend }, file);
}

function hintOf(issue: z.core.$ZodIssue | undefined): FaultHint | undefined {
  if (issue?.code !== "custom" || typeof issue.params?.["allowed"] !== "string") return undefined;
  return issue.params as unknown as FaultHint;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    input,
  );
}

/** Two keys are near when at most two letters were added, lost or changed. */
function isNear(candidate: string, key: string): boolean {
  let previous = Array.from({ length: key.length + 1 }, (_, index) => index);
  for (const [row, letter] of [...candidate.toLowerCase()].entries()) {
    const current = [row + 1];
    for (const [column, other] of [...key.toLowerCase()].entries()) {
      const changed = (previous[column] ?? 0) + (letter === other ? 0 : 1);
      current.push(Math.min(changed, (previous[column + 1] ?? 0) + 1, (current[column] ?? 0) + 1));
    }
    previous = current;
  }
  return (previous.at(-1) ?? key.length) <= 2;
}
