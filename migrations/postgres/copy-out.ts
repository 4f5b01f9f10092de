import type pg from "pg";

/**
 * The query of a `COPY .. TO STDOUT` that hands on each message where the protocol's parser has it: nothing is copied on
 * the way. `onBytes` must be done with the bytes when it returns, and may throw: the rest of the stream is then taken and
 * thrown away, since the connection has to be usable afterwards.
 */
export class CopyOutQuery implements pg.Submittable {
  /** Settles when the server has sent all, or has refused. */
  readonly ended: Promise<void>;
  readonly #text: string;
  readonly #onBytes: (bytes: Buffer) => void;
  #refusal: Error | undefined;
  #resolve!: () => void;
  #reject!: (error: Error) => void;

  constructor(text: string, onBytes: (bytes: Buffer) => void) {
    this.#text = text;
    this.#onBytes = onBytes;
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#text);
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    if (this.#refusal !== undefined) return;
    try {
      this.#onBytes(chunk);
    } catch (error) {
      this.#refusal = error instanceof Error ? error : new Error(String(error));
    }
  }

  handleCommandComplete(): void {
    // the server says how many rows there were; whoever reads them knows
  }

  handleError(error: Error): void {
    this.#reject(error);
  }

  handleReadyForQuery(): void {
    if (this.#refusal === undefined) this.#resolve();
    else this.#reject(this.#refusal);
  }
}
