import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a file that only we can read; whole or not at all. */
export async function writeSecretFile(file: string, content: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const unfinished = `${file}.${randomBytes(4).toString("hex")}`;
  await writeFile(unfinished, content, { mode: 0o600, flush: true });
  await rename(unfinished, file);
}

/** Content of a secret file without its line end, or undefined when there is none. */
export async function findSecretFile(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, "utf8")).trimEnd();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** A random secret of 192 bits that needs no escaping in a URL. */
export const randomSecret = (): string => randomBytes(24).toString("base64url");
