import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Fault } from "../releases/fault.ts";
import { allPublished, appendOnlyFaults, parsePublished } from "../releases/published.ts";

/** Branches that may hold the list everybody relies on, the shared one first. */
const branches = ["origin/main", "main"];

/** What comparing the published list with the main branch found. */
export interface MainComparison {
  /** The branch that was read; undefined when there is none to compare with. */
  readonly branch: string | undefined;
  readonly faults: readonly Fault[];
}

/**
 * Compares the published list of this checkout with the main branch's: it is only ever added to.
 * @param folder any folder of the checkout that holds `releases/`
 * @param branch @default the first that exists of origin/main, main
 * @throws when a branch was named that Git does not know, or main's list is broken
 */
export async function comparePublishedWithMain(folder: string, branch?: string): Promise<MainComparison> {
  for (const candidate of branch === undefined ? branches : [branch]) {
    const text = await showFile(folder, candidate);
    if (text === undefined) continue;
    return { branch: candidate, faults: appendOnlyFaults(parsePublished(JSON.parse(text)), allPublished()) };
  }
  if (branch === undefined) return { branch: undefined, faults: [] };
  throw new Error(
    `git has no ${branch}:releases/published.json in ${folder}; fetch it: git fetch origin main, or name another --main`,
  );
}

/** A branch without the list has published nothing yet; a branch that is not there is undefined. */
async function showFile(folder: string, branch: string): Promise<string | undefined> {
  const git = (...words: string[]) => promisify(execFile)("git", ["-C", folder, ...words]);
  const commit = await git("rev-parse", "--verify", "--quiet", "--end-of-options", `${branch}^{commit}`).catch(
    () => undefined,
  );
  if (commit === undefined) return undefined;
  const path = `${commit.stdout.trim()}:./releases/published.json`;
  const there = await git("cat-file", "-e", path).catch(() => undefined);
  return there === undefined ? "[]" : (await git("show", path)).stdout;
}
