import { randomBytes } from "node:crypto";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Replaces a JSON file by a rename, which is also what Envoy watches for; an unchanged file is left alone.
 * @returns whether it changed
 */
export async function replaceConfiguration(file: string, content: object): Promise<boolean> {
  const text = `${JSON.stringify(content)}\n`;
  if ((await readFile(file, "utf8").catch(() => undefined)) === text) return false;
  await mkdir(dirname(file), { recursive: true });
  const unfinished = `${file}.${randomBytes(4).toString("hex")}.new`;
  await writeFile(unfinished, text);
  await rename(unfinished, file);
  return true;
}
