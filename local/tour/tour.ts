import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TourContext, TourStep } from "./step.ts";

/** One line of `tour.json`. */
export interface TourEntry {
  readonly step: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** What was counted: rows, operations, milliseconds; units in the names. */
  readonly counts: Readonly<Record<string, number>>;
  /** What was checked, in sentences; each of them held, or `ok` is false and the last one says what did not. */
  readonly checks: readonly string[];
}

/**
 * Runs the steps in order and writes `tour.json` after each. A step that has succeeded is not run again, so a tour that
 * was killed goes on where it stopped; steps marked `always` are run every time.
 *
 * @throws the first failure, after it was written down
 */
export async function runSteps(context: TourContext, steps: readonly TourStep[]): Promise<TourEntry[]> {
  const file = join(context.home, "tour.json");
  await mkdir(join(context.home, "tour"), { recursive: true });
  const before = await readTour(file);
  const entries: TourEntry[] = [];
  for (const [index, step] of steps.entries()) {
    const known = before[index];
    if (known?.step === step.name && known.ok && step.always !== true) {
      context.say(`${index + 1}/${steps.length} ${step.name}: done before (${known.seconds} s)`);
      entries.push(known);
      continue;
    }
    context.say(`${index + 1}/${steps.length} ${step.name}: ${step.title}`);
    const startMs = Date.now();
    const counts: Record<string, number> = {};
    const checks: string[] = [];
    const entry = (ok: boolean): TourEntry => ({
      step: step.name,
      ok,
      seconds: Math.round((Date.now() - startMs) / 100) / 10,
      counts,
      checks,
    });
    try {
      await step.run(context, {
        count: (name, value) => {
          counts[name] = value;
          context.say(`    ${name} = ${value}`);
        },
        check: (holds, sentence) => {
          if (!holds) throw new Error(`does not hold: ${sentence}`);
          checks.push(sentence);
          context.say(`    ok: ${sentence}`);
        },
      });
    } catch (error) {
      checks.push((error as Error).message);
      await writeTour(file, [...entries, entry(false)]);
      throw new Error(`tour step ${step.name} failed: ${(error as Error).message}`, { cause: error });
    }
    entries.push(entry(true));
    await writeTour(file, [...entries, ...before.slice(entries.length)]);
  }
  return entries;
}

/** What an earlier run left, or nothing. */
async function readTour(file: string): Promise<TourEntry[]> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as TourEntry[];
  } catch {
    return [];
  }
}

async function writeTour(file: string, entries: readonly TourEntry[]): Promise<void> {
  await writeFile(`${file}.next`, `${JSON.stringify(entries, null, 2)}\n`);
  await rename(`${file}.next`, file);
}
