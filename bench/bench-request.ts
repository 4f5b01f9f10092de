import { parseArgs } from "node:util";

/** What was asked for on the command line. */
export interface BenchRequest {
  readonly name: string;
  /** One JSON line a ratio instead of text. */
  readonly isJson: boolean;
  /** @default 5 */
  readonly rounds: number;
  /** Absent: the bench's own. */
  readonly rows?: number;
}

/** @throws {RangeError} for an unknown bench, an unknown option or a bad number, with what is allowed */
export function parseBenchRequest(args: readonly string[], names: readonly string[]): BenchRequest {
  const usage = `usage: npm run bench -- NAME [--json] [--rounds R] [--rows N]; NAME is one of: ${names.join(", ")}`;
  const { positionals, values } = parsed(args, usage);
  const [name, ...others] = positionals;
  if (name === undefined || others.length > 0 || !names.includes(name))
    throw new RangeError(`${name === undefined ? "no bench is named" : `bench "${positionals.join(" ")}"`}; ${usage}`);
  const rounds = Number(values.rounds);
  const rows = values.rows === undefined ? undefined : Number(values.rows);
  const faults = Object.entries({ rounds, rows }).flatMap(([option, value]) =>
    value === undefined || (Number.isSafeInteger(value) && value >= 1)
      ? []
      : [`--${option} ${String(values[option as "rounds" | "rows"])}: allowed are whole numbers from 1`],
  );
  if (faults.length > 0) throw new RangeError(faults.join("\n"));
  return { name, isJson: values.json, rounds, ...(rows === undefined ? {} : { rows }) };
}

function parsed(args: readonly string[], usage: string) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        rounds: { type: "string", default: "5" },
        rows: { type: "string" },
      },
    });
  } catch (error) {
    throw new RangeError(`${(error as Error).message.split(". ")[0] ?? ""}; ${usage}`);
  }
}
