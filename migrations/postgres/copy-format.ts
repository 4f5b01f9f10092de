/**
 * PostgreSQL's binary COPY format: signature, flags, then per row an i16 count of fields and per field an i32 length
 * (-1 = NULL) and its bytes; i16 -1 ends it.
 */
const signature = Buffer.from([0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00]);
const headerBytes = signature.length + 8;

/** One row: its fields in the server's binary form; null is NULL. The buffers are views: copy what outlives the row. */
export type CopyRow = readonly (Buffer | null)[];

/** Turns the bytes of `COPY .. TO STDOUT (FORMAT binary)` into rows, however the network cut them. */
export class CopyDecoder {
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #neededBytes = headerBytes;
  #isPastHeader = false;
  #isEnded = false;

  /** Whether the end mark was seen. A stream that ends without it was cut off. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /**
   * Tells the rows that are complete now, one by one; their fields are views into `bytes`, which may be used anew once this
   * returns. @throws {Error} the bytes are not binary COPY, or go on after the end mark
   */
  push(bytes: Buffer, onRow: (row: CopyRow) => void): void {
    if (bytes.length === 0) return;
    if (this.#isEnded) throw new Error("binary COPY: bytes after the end mark");
    this.#pendingBytes += bytes.length;
    // Joining only once a whole field is there keeps a 64 MB value linear.
    if (this.#pendingBytes < this.#neededBytes) return void this.#pending.push(Buffer.from(bytes));
    const joined = this.#pending.length === 0 ? bytes : Buffer.concat([...this.#pending, bytes], this.#pendingBytes);
    let offset = 0;
    if (!this.#isPastHeader) {
      if (!joined.subarray(0, signature.length).equals(signature)) throw new Error("binary COPY: wrong signature");
      const extensionBytes = joined.readInt32BE(signature.length + 4);
      if (joined.length < headerBytes + extensionBytes) return this.#keep(joined, 0, headerBytes + extensionBytes);
      offset = headerBytes + extensionBytes;
      this.#isPastHeader = true;
    }
    for (;;) {
      if (joined.length < offset + 2) return this.#keep(joined, offset, 2);
      const fieldCount = joined.readInt16BE(offset);
      if (fieldCount === -1) {
        this.#isEnded = true;
        if (joined.length > offset + 2) throw new Error("binary COPY: bytes after the end mark");
        return this.#keep(joined, joined.length, 0);
      }
      const fields: (Buffer | null)[] = [];
      let at = offset + 2;
      for (let field = 0; field < fieldCount; field += 1) {
        if (joined.length < at + 4) return this.#keep(joined, offset, at + 4 - offset);
        const fieldBytes = joined.readInt32BE(at);
        at += 4;
        if (fieldBytes === -1) {
          fields.push(null);
          continue;
        }
        if (joined.length < at + fieldBytes) return this.#keep(joined, offset, at + fieldBytes - offset);
        fields.push(joined.subarray(at, at + fieldBytes));
        at += fieldBytes;
      }
      onRow(fields);
      offset = at;
    }
  }

  #keep(joined: Buffer, offset: number, neededBytes: number): void {
    // A copy: the bytes that were pushed are somebody else's.
    this.#pending = joined.length === offset ? [] : [Buffer.from(joined.subarray(offset))];
    this.#pendingBytes = joined.length - offset;
    this.#neededBytes = neededBytes;
  }
}

/** Bytes of one message to the server, about; a row that is larger has a message of its own. */
const messageBytes = 262_144;

/** Writes rows for `COPY .. FROM STDIN (FORMAT binary)` one behind the other into messages, each byte once. */
export class CopyEncoder {
  readonly #full: Buffer[] = [];
  #message = Buffer.allocUnsafeSlow(messageBytes);
  #at = 0;
  #rows = 0;
  #bytes = 0;

  constructor() {
    this.#at = signature.copy(this.#message);
    this.#message.fill(0, this.#at, headerBytes);
    this.#at = headerBytes;
  }

  get rows(): number {
    return this.#rows;
  }

  /** Bytes so far, header included. */
  get bytes(): number {
    return this.#bytes + this.#at;
  }

  add(fields: CopyRow): void {
    this.#begin(fields, 0);
    for (const field of fields) this.#append(field);
  }

  /** A row whose last field has so many bytes and is written in place. @param write must fill them all */
  addWritten(fields: CopyRow, lastBytes: number, write: (target: Buffer, offset: number) => void): void {
    this.#begin(fields, lastBytes + 4);
    this.#message.writeInt16BE(fields.length + 1, this.#at - 2);
    for (const field of fields) this.#append(field);
    this.#message.writeInt32BE(lastBytes, this.#at);
    write(this.#message, this.#at + 4);
    this.#at += 4 + lastBytes;
  }

  /** The whole text of the COPY in messages, ended by the end mark. The encoder is used up. */
  finish(): Buffer[] {
    this.#reserve(2);
    this.#at = this.#message.writeInt16BE(-1, this.#at);
    this.#close();
    return this.#full.splice(0);
  }

  #begin(fields: CopyRow, moreBytes: number): void {
    let bytes = 2 + moreBytes;
    for (const field of fields) bytes += 4 + (field?.length ?? 0);
    this.#reserve(bytes);
    this.#at = this.#message.writeInt16BE(fields.length, this.#at);
    this.#rows += 1;
  }

  #append(field: Buffer | null): void {
    this.#at = this.#message.writeInt32BE(field === null ? -1 : field.length, this.#at);
    if (field === null) return;
    this.#message.set(field, this.#at);
    this.#at += field.length;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#message.length) return;
    this.#close();
    this.#message = Buffer.allocUnsafeSlow(Math.max(messageBytes, bytes));
  }

  #close(): void {
    this.#full.push(this.#message.subarray(0, this.#at));
    this.#bytes += this.#at;
    this.#at = 0;
  }
}
