/** Shortest and longest time a chunk should take, milliseconds: cancel and pause are honoured between chunks. */
export const chunkTimeMs = { shortest: 250, longest: 500 } as const;

/** Finds how many rows a chunk may have, from the time the ones before took. */
export class Pace {
  #rows: number;
  readonly #mostRows: number;

  /** @param firstRows rows of the first chunk, before anything was measured */
  constructor(firstRows = 500, mostRows = 50_000) {
    this.#rows = firstRows;
    this.#mostRows = mostRows;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Learns from a chunk; grows and shrinks by no more than half or double, one slow disk write is no trend. */
  record(rows: number, elapsedMs: number): void {
    const isFull = rows >= this.#rows;
    if (elapsedMs > chunkTimeMs.longest || (isFull && elapsedMs < chunkTimeMs.shortest)) {
      const ideal = (this.#rows * (chunkTimeMs.shortest + chunkTimeMs.longest)) / 2 / Math.max(1, elapsedMs);
      this.#rows = Math.round(Math.min(Math.max(ideal, this.#rows / 2), this.#rows * 2));
      this.#rows = Math.min(Math.max(this.#rows, 1), this.#mostRows);
    }
  }
}
