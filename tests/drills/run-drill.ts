import { SeededRandom } from "../workload/seeded-random.ts";
import type { Drill } from "./drill.ts";
import type { Stage } from "./stage.ts";

export interface DrillOptions {
  /** Decides the order of the cases and everything random in them. */
  readonly seed: number;
  /** Only the first so many cases. @default all */
  readonly cases?: number;
  /** Only the case with this number, from 1. */
  readonly only?: number;
  /** Called with each line for a person. */
  readonly print: (line: string) => void;
}

export interface DrillOutcome {
  readonly passed: number;
  readonly failed: number;
  /** Reasons of the failed cases. */
  readonly reasons: readonly string[];
}

/** Runs a drill's cases one after another; a failed one says how to run just it again. */
export async function runDrill(drill: Drill, stage: Stage, options: DrillOptions): Promise<DrillOutcome> {
  const { seed, print } = options;
  const all = drill.cases(new SeededRandom(seed));
  if (options.only !== undefined && all[options.only - 1] === undefined) {
    throw new RangeError(`--only ${options.only}: ${drill.name} has the cases 1 to ${all.length}`);
  }
  const numbers = options.only === undefined ? all.map((_, nth) => nth + 1).slice(0, options.cases) : [options.only];
  const reasons: string[] = [];
  for (const number of numbers) {
    const one = all[number - 1];
    if (one === undefined) continue;
    const startedAt = performance.now();
    try {
      const remark = await one.run(stage, caseRandom(seed, number));
      print(`ok   ${number} ${one.title} (${seconds(startedAt)} s)${remark ? `\n     ${remark}` : ""}`);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      reasons.push(`${one.title}: ${reason}`);
      print(`FAIL ${number} ${one.title} (${seconds(startedAt)} s)\n     ${reason.replaceAll("\n", "\n     ")}`);
      print(`     again: npm run drill -- ${drill.name} --seed ${seed} --only ${number}`);
    } finally {
      await stage.clear();
    }
  }
  return { passed: numbers.length - reasons.length, failed: reasons.length, reasons };
}

/** Random numbers of one case: those of its neighbours have nothing to do with them. */
function caseRandom(seed: number, number: number): SeededRandom {
  return new SeededRandom(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(number, 0xc2b2ae35));
}

function seconds(sinceMs: number): string {
  return ((performance.now() - sinceMs) / 1000).toFixed(1);
}
