import { execFile } from "node:child_process";

/** Commit that is checked out in a folder; undefined when it is no Git checkout. */
export function findCommit(folder: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile("git", ["-C", folder, "rev-parse", "HEAD"], (error, head) => resolve(error ? undefined : head.trim()));
  });
}
