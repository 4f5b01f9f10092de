import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { repositoryFolder } from "../folders.ts";
import type { Platform } from "../platform.ts";
import type { TourContext, TourStep } from "./step.ts";
import { firstRelease } from "./steps/first-release.ts";
import { promotion } from "./steps/promotion.ts";
import { rollback } from "./steps/rollback.ts";
import { again, finalize, rebuild, stay } from "./steps/round-trip.ts";
import { sealed } from "./steps/sealed.ts";
import { steady } from "./steps/steady.ts";

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

const tour: readonly TourStep[] = [firstRelease, promotion, sealed, rollback, again, finalize, rebuild, stay, steady];

/** How much a tour does. */
export interface TourSize {
  /** Prompts and messages to seed over all tenants. @default 40000 */
  readonly rows?: number;
  /** Operations to be acknowledged between two moves. @default 200 */
  readonly operations?: number;
}

/** The whole tour on a platform whose servers are up: R1 -> R2 -> R1 -> R2, finalized, rebuilt, and R2 again. */
export async function runTour(
  platform: Pick<Platform, "homeFolder" | "environment">,
  size: TourSize,
): Promise<TourEntry[]> {
  const startMs = Date.now();
  const context: TourContext = {
    home: platform.homeFolder,
    repository: repositoryFolder,
    environment: platform.environment,
    stackFile: join(platform.homeFolder, "tour", "Pulumi.dev.yaml"),
    rows: size.rows ?? 40_000,
    operations: size.operations ?? 200,
    say: (line) => console.log(`[${String(Math.round((Date.now() - startMs) / 1000)).padStart(4)} s] ${line}`),
  };
  return runSteps(context, tour);
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
        isRepeat: known?.step === step.name,
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
