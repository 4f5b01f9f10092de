import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { StackFile } from "./stack-file.ts";

/**
 * Lends a copy of the edited stack file for a preview: as long as nobody has agreed to the change, the file that people
 * keep in Git stays untouched to the byte.
 */
export async function withCandidate<T>(file: StackFile, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "coordinator-candidate-"));
  try {
    const path = join(folder, basename(file.path));
    await writeFile(path, file.text(), { mode: 0o600 });
    return await use(path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
