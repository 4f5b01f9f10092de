import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { allMirrors } from "./mirrors.ts";
import type { RecordedProgram } from "./registry/programs.ts";

/** The program of this checkout, as the registry records it. */
export type Program = Omit<RecordedProgram, "at">;

/**
 * What the program in this checkout knows, and its commit. Releases are only added to the catalog, mirrors to the engine
 * and revisions to Alembic, so of two programs the one that lacks something is the older one, with Git and without.
 *
 * @param releases ids of the catalog
 */
export async function programHere(releases: readonly string[]): Promise<Program> {
  const files = await readdir(join(import.meta.dirname, "alembic", "versions"));
  const revisions = files.flatMap((file) => /^(\d+)_.*\.py$/.exec(file)?.[1] ?? []);
  const knows = [
    ...releases.map((id) => `release ${id}`),
    ...allMirrors().map(({ name }) => `mirror ${name}`),
    ...revisions.sort().map((revision) => `schema ${revision}`),
  ];
  const commit = await git("rev-parse", "HEAD");
  return { knows, ...(commit === undefined ? {} : { commit }) };
}

/** Whether a program knows something that the last one did not: then it has to be recorded, though nothing moves. */
export function knowsMore(here: Program, last: RecordedProgram | undefined): boolean {
  return here.knows.some((item) => last?.knows.includes(item) !== true);
}

/**
 * Why a program may not run after the one that ran last: it lacks something that one knew, or its commit is an ancestor of
 * that one's. Commits that Git cannot compare here (no checkout, a shallow clone, another branch) say nothing.
 *
 * @returns thing, value seen, allowed and mend; undefined = it may run
 */
export async function findAgeFault(
  environment: string,
  here: Program,
  last: RecordedProgram | undefined,
): Promise<string | undefined> {
  if (last === undefined) return undefined;
  const lacks = last.knows.filter((item) => !here.knows.includes(item));
  const isAncestor =
    here.commit !== undefined &&
    last.commit !== undefined &&
    here.commit !== last.commit &&
    (await git("merge-base", "--is-ancestor", here.commit, last.commit)) !== undefined;
  if (lacks.length === 0 && !isAncestor) return undefined;
  const why = [
    ...(lacks.length === 0 ? [] : [`it does not know ${lacks.join(", ")}`]),
    ...(isAncestor ? ["its commit is an ancestor of that one"] : []),
  ];
  const mend =
    last.commit === undefined
      ? `check out the program that ran last (coordinator history --env ${environment})`
      : `git fetch && git checkout ${last.commit.slice(0, 12)}`;
  return (
    `${environment}: the program in this checkout${named(here.commit)} is older than the last one that ran here` +
    `${named(last.commit)}, ${last.at.toISOString().slice(0, 16).replace("T", " ")}: ${why.join(", and ")}; ` +
    `allowed is that program or a newer one: ${mend}`
  );
}

function named(commit: string | undefined): string {
  return commit === undefined ? "" : ` (commit ${commit.slice(0, 12)})`;
}

/** What Git prints in the program's folder; undefined when it fails, says no, or is not there. */
function git(...words: string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile("git", ["-C", join(import.meta.dirname, ".."), ...words], (error, text) =>
      resolve(error ? undefined : text.trim()),
    );
  });
}
