import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

/** One file before and after. */
export interface Edit {
  /** Path of the file inside its Git repository. */
  readonly path: string;
  readonly before: string;
  readonly after: string;
}

/** The edit as `git apply` takes it; empty when nothing changed. Needs `git` on PATH. */
export async function gitPatch(edit: Edit): Promise<string> {
  if (edit.before === edit.after) return "";
  const folder = await mkdtemp(join(tmpdir(), "coordinator-patch-"));
  try {
    for (const [side, text] of [
      ["a", edit.before],
      ["b", edit.after],
    ] as const) {
      await mkdir(join(folder, side, dirname(edit.path)), { recursive: true });
      await writeFile(join(folder, side, edit.path), text);
    }
    return await difference(folder, join("a", edit.path), join("b", edit.path));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The file's path in its repository; its bare name when it lies in none. */
export async function pathInRepository(file: string): Promise<string> {
  return new Promise((resolve) => {
    const question = ["-C", dirname(file), "rev-parse", "--show-prefix"];
    execFile("git", question, (error, prefix) => resolve(join(error ? "" : prefix.trim(), basename(file))));
  });
}

function difference(folder: string, before: string, after: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const command = ["diff", "--no-index", "--no-prefix", "--no-color", "--no-ext-diff", before, after];
    // `git diff --no-index` exits with 1 when the files differ, which is what is asked here.
    execFile("git", command, { cwd: folder }, (error, patch) =>
      patch === "" ? reject(new Error(`git diff made no patch: ${error?.message ?? "no difference"}`)) : resolve(patch),
    );
  });
}
