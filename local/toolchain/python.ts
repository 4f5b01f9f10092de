import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { cacheFolder, repositoryFolder } from "../folders.ts";
import { withLock } from "./cache-lock.ts";

const requirementsFile = join(repositoryFolder, "local", "python", "requirements.txt");

/** Folder of the virtual environment; its name carries a hash of the pins, so that other pins get another one. */
export async function pythonFolder(requirements = requirementsFile): Promise<string> {
  const pins = await readFile(requirements);
  return join(cacheFolder(), `python-${createHash("sha256").update(pins).digest("hex").slice(0, 12)}`);
}

/**
 * Python of the virtual environment with Alembic, psycopg and Tink, made on first use.
 * @param requirements pins of another environment @default those of migrations and their tests
 * @throws {Error} when python3 or its venv module is missing, or the package index cannot be reached
 */
export async function ensurePython(requirements = requirementsFile): Promise<string> {
  const folder = await pythonFolder(requirements);
  const python = join(folder, "bin", "python");
  // A virtual environment holds its own path and cannot be renamed into place; this mark, written last, says it is whole.
  const complete = join(folder, ".complete");
  if (existsSync(complete)) return python;
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(complete)) return;
    await rm(folder, { recursive: true, force: true });
    await mkdir(dirname(folder), { recursive: true });
    await execa("python3", ["-m", "venv", folder]);
    await execa(python, ["-m", "pip", "install", "--quiet", "--no-deps", "--requirement", requirements]);
    await writeFile(complete, "");
  });
  return python;
}
