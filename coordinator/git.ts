import { execFile } from "node:child_process";

/** Commit that is checked out in a folder; undefined when it is no Git checkout. */
export function findCommit(folder: string): Promise<string | undefined> {
  return ask(folder, "rev-parse", "HEAD");
}

/** The commit that last changed the program: one that only adds approvals changes nothing that they were given for. */
export function findProgramCommit(folder: string): Promise<string | undefined> {
  return ask(folder, "log", "-1", "--format=%H", "--", ".", ":(exclude)approvals");
}

/** Who wrote that commit: the address, and its part before the `@`. Empty outside of a Git checkout. */
export async function programAuthors(folder: string): Promise<string[]> {
  const address = await ask(folder, "log", "-1", "--format=%ae", "--", ".", ":(exclude)approvals");
  return address === undefined ? [] : [...new Set([address, address.split("@")[0] ?? address])];
}

function ask(folder: string, ...words: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile("git", ["-C", folder, ...words], (error, answer) =>
      resolve(error || answer.trim() === "" ? undefined : answer.trim()),
    );
  });
}
