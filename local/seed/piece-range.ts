import { corpus } from "./corpus.ts";
import type { CorpusPiece } from "./corpus.ts";
import type { TextFolders } from "./installed-text.ts";

/** The corpus, cut to ranges that follow each other; reads nothing before a piece is asked for. */
export class PieceRange {
  readonly #folders: TextFolders;
  readonly #rows: number;
  #pieces: Iterator<CorpusPiece, undefined> | undefined;
  #position = 0;

  /** @param rows pieces that all ranges together will ask for */
  constructor(folders: TextFolders, rows: number) {
    this.#folders = folders;
    this.#rows = rows;
  }

  /**
   * Pieces `from` to `from + count`. Those before that nobody took are passed over, so a range is always the same.
   *
   * @throws {Error} the installed packages yield less
   */
  *take(from: number, count: number): Generator<CorpusPiece> {
    this.#pieces ??= corpus(this.#folders);
    while (this.#position < from + count) {
      const next = this.#pieces.next();
      if (next.done === true)
        throw new Error(
          `the installed packages yield ${this.#position} distinct pieces of text, ${this.#rows} were asked for; ` +
            `ask for ${this.#position} rows at most`,
        );
      this.#position += 1;
      if (this.#position > from) yield next.value;
    }
  }
}
