import { createHash } from "node:crypto";
import { findText, findTextFiles, installedFolders, textKinds } from "./installed-text.ts";
import type { InstalledFile, TextFolders, TextKind } from "./installed-text.ts";
import { piecesOf, titleOf } from "./piece.ts";

/** Real text of the size of a prompt. */
export interface CorpusPiece {
  /** Heading, at most 80 characters. */
  readonly title: string;
  /** 200 B to 64 KiB of UTF-8 without NUL; no two pieces of a corpus are equal. */
  readonly text: string;
  /** Where it stands, e.g. `zod/README.md#3`: the file within its package and the number of the piece in it. */
  readonly source: string;
}

/** Pieces taken in a row from each kind before the next kind's turn; near to what the installed packages hold. */
const turns: Record<TextKind, number> = { documentation: 2, translation: 1, declaration: 5, source: 4 };

/** Files of one kind that are read at the same time, so that languages and packages alternate. */
const openFiles = 16;

/**
 * Real text from installed packages: documentation, licences, message catalogues in many languages, API declarations,
 * Python sources. Lazy: holds the files in turn and a digest per piece. Deterministic for the same installed versions.
 *
 * @param folders see `installedFolders`
 */
export function* corpus(folders: TextFolders): Generator<CorpusPiece, undefined> {
  const files = findTextFiles(folders);
  const seen = new Set<string>();
  let kinds = textKinds.map((kind) => ({
    turn: turns[kind],
    pieces: ofKind(
      files.filter((file) => file.kind === kind),
      seen,
    ),
  }));
  while (kinds.length > 0) {
    const ended = new Set<unknown>();
    for (const kind of kinds) {
      for (let nth = 0; nth < kind.turn; nth += 1) {
        const next = kind.pieces.next();
        if (next.done === true) {
          ended.add(kind);
          break;
        }
        yield next.value;
      }
    }
    kinds = kinds.filter((kind) => !ended.has(kind));
  }
}

function* ofKind(files: readonly InstalledFile[], seen: Set<string>): Generator<CorpusPiece, undefined> {
  const waiting = files.values();
  let open = Array.from({ length: openFiles }, () => waiting.next()).flatMap(({ value }) =>
    value === undefined ? [] : [ofFile(value, seen)],
  );
  while (open.length > 0) {
    const stillOpen: typeof open = [];
    for (let reader of open) {
      let next = reader.next();
      while (next.done === true) {
        const file = waiting.next();
        if (file.done === true) break;
        reader = ofFile(file.value, seen);
        next = reader.next();
      }
      if (next.done === true) continue;
      stillOpen.push(reader);
      yield next.value;
    }
    open = stillOpen;
  }
}

function* ofFile(file: InstalledFile, seen: Set<string>): Generator<CorpusPiece, undefined> {
  const found = findText(file);
  // Packages carry each other's licences and vendored copies.
  if (found === undefined || !addNew(seen, found.digest)) return;
  let ordinal = 0;
  for (const text of piecesOf(found.bytes, found.digest)) {
    ordinal += 1;
    if (!addNew(seen, createHash("sha256").update(text).digest())) continue;
    yield { title: titleOf(text, file.path), text, source: `${file.path}#${ordinal}` };
  }
}

/** Remembers 15 bytes of a digest: collisions stay out of reach, and a million pieces within 100 MB. */
function addNew(seen: Set<string>, digest: Buffer): boolean {
  const before = seen.size;
  return seen.add(digest.toString("latin1", 0, 15)).size > before;
}

/** Texts of the corpus for whoever needs a few thousand of them, such as a traffic generator. */
export interface CorpusTexts {
  /**
   * Distinct texts; another seed begins elsewhere in the corpus, at one of twenty places.
   *
   * @throws {Error} the installed packages yield less
   */
  pieces(count: number, seed: number): Generator<string>;
}

/** @param folders see `installedFolders`. @default those of this checkout */
export async function loadCorpus(folders?: TextFolders): Promise<CorpusTexts> {
  const installed = folders ?? (await installedFolders());
  return {
    *pieces(count, seed) {
      let left = count;
      let skip = (seed % 20) * 1000;
      for (const { text } of corpus(installed)) {
        if (left === 0) return;
        if (skip > 0) skip -= 1;
        else {
          left -= 1;
          yield text;
        }
      }
      if (left > 0) throw new Error(`the installed packages yield ${count - left} texts, ${count} were asked for`);
    },
  };
}
