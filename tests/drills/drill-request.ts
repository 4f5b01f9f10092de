import { parseArgs } from "node:util";
import { allDrills } from "./all-drills.ts";
import type { Drill } from "./drill.ts";

/** What was asked for on the command line. */
export interface DrillRequest {
  readonly drill: Drill;
  /** Absent: one by chance. */
  readonly seed?: number;
  /** Absent: all of the drill. */
  readonly cases?: number;
  /** The one case to run. */
  readonly only?: number;
}

/** @throws {RangeError} for an unknown drill, an unknown option or a bad number, with what is allowed */
export function parseDrillRequest(args: readonly string[]): DrillRequest {
  const { positionals, values } = parsed(args);
  const [name, ...others] = positionals;
  const drill = allDrills.find((one) => one.name === name);
  if (drill === undefined || others.length > 0)
    throw new RangeError(
      `${positionals.length === 0 ? "no drill is named" : `drill "${positionals.join(" ")}"`}; ${usage()}`,
    );
  const faults: string[] = [];
  const number = (option: "seed" | "cases" | "only", least: number): number | undefined => {
    const text = values[option];
    if (text === undefined) return undefined;
    const found = Number(text);
    if (Number.isSafeInteger(found) && found >= least) return found;
    faults.push(`--${option} ${text}: allowed are whole numbers from ${least}`);
    return undefined;
  };
  const [seed, cases, only] = [number("seed", 0), number("cases", 1), number("only", 1)];
  if (faults.length > 0) throw new RangeError(faults.join("\n"));
  return {
    drill,
    ...(seed === undefined ? {} : { seed }),
    ...(cases === undefined ? {} : { cases }),
    ...(only === undefined ? {} : { only }),
  };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { seed: { type: "string" }, cases: { type: "string" }, only: { type: "string" } },
    });
  } catch (error) {
    throw new RangeError(`${(error as Error).message.split(". ")[0] ?? ""}; ${usage()}`);
  }
}

function usage(): string {
  const drills = allDrills.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`);
  return ["usage: npm run drill -- NAME [--seed S] [--cases N | --only K]; NAME is one of:", ...drills].join("\n");
}
