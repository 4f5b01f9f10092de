import { isUtf8 } from "node:buffer";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";

/** Sort of text: people paste prose, text in their own language, and code. */
export type Genre = "prose" | "translation" | "code";

export interface CorpusDocument {
  readonly genre: Genre;
  /** Path below the folder it was found in. */
  readonly path: string;
  readonly text: Buffer;
}

const PROSE =
  /(^|\/)(readme|changelog|history|licen[cs]e|notice|contributing|security|third-party-notices)[^/]*$|\.(md|markdown|rst|txt)$/i;
const TRANSLATION =
  /(^|\/)(yargs\/locales\/\w+\.json|zod\/v4\/locales\/[\w-]+\.js|typescript\/lib\/[a-z-]+\/diagnosticMessages[^/]*\.json)$/;
const CODE = /\.(d\.ts|py)$/;

/** Below this a file has nothing to cut from, bytes. */
const SMALLEST_BYTES = 400;
/** Nothing useful is larger, and one file must not be the corpus, bytes. */
const LARGEST_BYTES = 1_000_000;

/**
 * Reads the text of installed packages: documentation, licences, translations, typed interfaces. Files that are no
 * valid UTF-8 or hold a NUL are left out. The order is that of the paths, so it is the same for the same packages.
 */
export async function readDocuments(folders: readonly string[]): Promise<CorpusDocument[]> {
  const documents: CorpusDocument[] = [];
  for (const folder of folders) {
    for (const path of (await filesBelow(folder)).sort()) {
      const genre = genreOf(path);
      if (genre === undefined) continue;
      const { size } = await stat(join(folder, path));
      if (size < SMALLEST_BYTES || size > LARGEST_BYTES) continue;
      const content = await readFile(join(folder, path));
      if (!isUtf8(content) || content.includes(0)) continue;
      documents.push({ genre, path, text: path.includes("diagnosticMessages") ? sentences(content) : content });
    }
  }
  return documents;
}

function genreOf(path: string): Genre | undefined {
  if (TRANSLATION.test(path)) return "translation";
  if (PROSE.test(path)) return "prose";
  return CODE.test(path) ? "code" : undefined;
}

/** The sentences of a compiler's message catalogue without their keys. */
function sentences(json: Buffer): Buffer {
  return Buffer.from(Object.values(JSON.parse(json.toString("utf8")) as Record<string, string>).join("\n"));
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}
