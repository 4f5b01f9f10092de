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

  /** Rows that are complete now. @throws {Error} the bytes are not binary COPY, or go on after the end mark */
  push(bytes: Buffer): CopyRow[] {
    if (bytes.length === 0) return [];
    if (this.#isEnded) throw new Error("binary COPY: bytes after the end mark");
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    // Joining only once a whole field is there keeps a 64 MB value linear.
    if (this.#pendingBytes < this.#neededBytes) return [];
    const joined = this.#pending.length === 1 ? bytes : Buffer.concat(this.#pending, this.#pendingBytes);
    const rows: CopyRow[] = [];
    let offset = 0;
    if (!this.#isPastHeader) {
      if (!joined.subarray(0, signature.length).equals(signature)) throw new Error("binary COPY: wrong signature");
      const extensionBytes = joined.readInt32BE(signature.length + 4);
      if (joined.length < headerBytes + extensionBytes)
        return this.#keep(joined, 0, headerBytes + extensionBytes, rows);
      offset = headerBytes + extensionBytes;
      this.#isPastHeader = true;
    }
    for (;;) {
      if (joined.length < offset + 2) return this.#keep(joined, offset, 2, rows);
      const fieldCount = joined.readInt16BE(offset);
      if (fieldCount === -1) {
        this.#isEnded = true;
        if (joined.length > offset + 2) throw new Error("binary COPY: bytes after the end mark");
        return this.#keep(joined, joined.length, 0, rows);
      }
      const fields: (Buffer | null)[] = [];
      let at = offset + 2;
      for (let field = 0; field < fieldCount; field += 1) {
        if (joined.length < at + 4) return this.#keep(joined, offset, at + 4 - offset, rows);
        const fieldBytes = joined.readInt32BE(at);
        at += 4;
        if (fieldBytes === -1) {
          fields.push(null);
          continue;
        }
        if (joined.length < at + fieldBytes) return this.#keep(joined, offset, at + fieldBytes - offset, rows);
        fields.push(joined.subarray(at, at + fieldBytes));
        at += fieldBytes;
      }
      rows.push(fields);
      offset = at;
    }
  }

  #keep(joined: Buffer, offset: number, neededBytes: number, rows: CopyRow[]): CopyRow[] {
    const rest = joined.subarray(offset);
    this.#pending = rest.length === 0 ? [] : [rest];
    this.#pendingBytes = rest.length;
    this.#neededBytes = neededBytes;
    return rows;
  }
}

/** Gathers rows for `COPY .. FROM STDIN (FORMAT binary)`. Field buffers are kept by reference until `finish`. */
export class CopyEncoder {
  readonly #parts: Buffer[] = [Buffer.concat([signature, Buffer.alloc(8)])];
  #bytes = headerBytes;
  #rows = 0;

  get rows(): number {
    return this.#rows;
  }

  /** Bytes so far, header included. */
  get bytes(): number {
    return this.#bytes;
  }

  add(fields: CopyRow): void {
    let head = Buffer.allocUnsafe(6);
    head.writeInt16BE(fields.length);
    let at = 2;
    for (const field of fields) {
      head.writeInt32BE(field === null ? -1 : field.length, at);
      this.#append(head);
      if (field !== null) this.#append(field);
      head = Buffer.allocUnsafe(4);
      at = 0;
    }
    if (fields.length === 0) this.#append(head.subarray(0, 2));
    this.#rows += 1;
  }

  /** The whole text of the COPY in messages of about 256 KiB, ended by the end mark. */
  finish(): Buffer[] {
    this.#append(Buffer.from([0xff, 0xff]));
    const messages: Buffer[] = [];
    let gathered: Buffer[] = [];
    let gatheredBytes = 0;
    for (const part of this.#parts) {
      gathered.push(part);
      gatheredBytes += part.length;
      if (gatheredBytes < 262_144) continue;
      messages.push(Buffer.concat(gathered, gatheredBytes));
      gathered = [];
      gatheredBytes = 0;
    }
    if (gatheredBytes > 0) messages.push(Buffer.concat(gathered, gatheredBytes));
    this.#parts.length = 0;
    return messages;
  }

  #append(part: Buffer): void {
    this.#parts.push(part);
    this.#bytes += part.length;
  }
}
