import { createHash } from "node:crypto";
import { join } from "node:path";
import { SeededRandom } from "../../tests/workload/seeded-random.ts";
import { repositoryFolder } from "../folders.ts";
import { type CorpusDocument, type Genre, readDocuments } from "./corpus-documents.ts";

/** Shortest and longest piece, bytes of UTF-8. */
export const PIECE_BYTES = { least: 200, most: 65_536 } as const;

/** How long prompts are: mostly a paragraph, now and then a file, rarely a whole log. Weights, and bounds in bytes. */
const SIZES = [
  { weight: 60, from: 200, to: 1_000 },
  { weight: 30, from: 1_000, to: 4_000 },
  { weight: 8, from: 4_000, to: 16_000 },
  { weight: 2, from: 16_000, to: 65_536 },
] as const;

const GENRES: Readonly<Record<Genre, number>> = { prose: 45, translation: 35, code: 20 };

/** Real text in pieces: windows cut from the documentation of installed packages, in several languages. */
export class Corpus {
  readonly #documents: Readonly<Record<Genre, readonly CorpusDocument[]>>;
  readonly #starts: Readonly<Record<Genre, readonly number[]>>;

  constructor(documents: readonly CorpusDocument[]) {
    const group = (genre: Genre): CorpusDocument[] => documents.filter((document) => document.genre === genre);
    this.#documents = { prose: group("prose"), translation: group("translation"), code: group("code") };
    this.#starts = {
      prose: starts(this.#documents.prose),
      translation: starts(this.#documents.translation),
      code: starts(this.#documents.code),
    };
  }

  /**
   * Cuts pieces of {@link PIECE_BYTES}; no two are the same text, and the same seed cuts the same ones.
   * @throws Error when the text at hand is too little for that many distinct pieces
   */
  *pieces(count: number, seed: number): Generator<string> {
    const random = new SeededRandom(seed);
    const seen = new Set<string>();
    for (let misses = 0; seen.size < count;) {
      const piece = this.#cut(random);
      const digest = piece && createHash("sha1").update(piece).digest("base64");
      if (piece === undefined || seen.has(digest as string)) {
        if (++misses > 20 * count + 1_000) {
          throw new Error(
            `the corpus holds only ${seen.size} of ${count} distinct pieces: run npm ci, or ask for fewer rows`,
          );
        }
        continue;
      }
      seen.add(digest as string);
      yield piece.toString("utf8");
    }
  }

  #cut(random: SeededRandom): Buffer | undefined {
    const genre = random.weighted(GENRES);
    const size = SIZES[Number(random.weighted(Object.fromEntries(SIZES.map(({ weight }, index) => [index, weight]))))]!;
    const bytes = size.from + random.below(size.to - size.from + 1);
    const ends = this.#starts[genre];
    // By size, so that each place in the text is as likely as any other.
    const place = random.below(ends.at(-1) ?? 1);
    const document = this.#documents[genre][lowestAbove(ends, place)];
    if (document === undefined || document.text.length < Math.min(bytes, 2_000)) return undefined;
    const { text } = document;
    let from = random.below(Math.max(1, text.length - bytes));
    // From the beginning of a line, as people copy.
    const line = text.indexOf(10, from);
    if (from > 0 && line !== -1 && line - from < 200) from = line + 1;
    let to = Math.min(text.length, from + bytes, from + PIECE_BYTES.most);
    while (from < to && isInsideCharacter(text[from])) from += 1;
    while (to > from && isInsideCharacter(text[to])) to -= 1;
    return to - from < PIECE_BYTES.least ? undefined : text.subarray(from, to);
  }
}

/** The corpus of the packages that this repository installs, and of any further folders, e.g. Python's site-packages. */
export async function loadCorpus(moreFolders: readonly string[] = []): Promise<Corpus> {
  return new Corpus(await readDocuments([join(repositoryFolder, "node_modules"), ...moreFolders]));
}

function isInsideCharacter(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}

/** Running sums of the documents' sizes. */
function starts(documents: readonly CorpusDocument[]): number[] {
  let sum = 0;
  return documents.map((document) => (sum += document.text.length));
}

function lowestAbove(ends: readonly number[], place: number): number {
  let low = 0;
  let high = ends.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ends[middle] as number) > place) high = middle;
    else low = middle + 1;
  }
  return low;
}
