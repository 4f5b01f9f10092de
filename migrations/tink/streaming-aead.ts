import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { Transform, type TransformCallback } from "node:stream";
import type { StreamingKeyset } from "./streaming-keyset.ts";

/** A stream that did not open: cut, changed, or sealed under another key or for another context. */
export class StreamOpenError extends Error {
  override readonly name = "StreamOpenError";
  readonly reason: "too-short" | "not-authentic";

  constructor(reason: StreamOpenError["reason"], segment: number) {
    super(
      reason === "too-short"
        ? "the sealed stream ends before its first segment; it was cut, or was never sealed"
        : `segment ${segment} of the sealed stream does not open; it was cut or changed, or its keyset or context is another`,
    );
    this.reason = reason;
  }
}

/**
 * Tink's streaming AEAD, AES256_GCM_HKDF_1MB: a header `40 | salt 32 | nonce prefix 7`, then segments of 1 MiB (the first
 * one shorter by the header), each AES-256-GCM with the nonce `prefix | segment number u32 | 1 if it is the last`. The key
 * is HKDF-SHA256(key of the keyset, salt, associated data), fresh for every stream. Stock Tink opens what this seals, and
 * the other way round. Memory holds two segments whatever the length.
 */
export class StreamingAead {
  readonly #keyset: StreamingKeyset;

  constructor(keyset: StreamingKeyset) {
    this.#keyset = keyset;
  }

  /** Plaintext in, sealed stream out. */
  sealer(associatedData: Uint8Array): Transform {
    return new Sealer(this.#keyset.primary.value, associatedData);
  }

  /**
   * Sealed stream in, plaintext out. Every segment is checked before it is handed on, but only the end of the stream says
   * that nothing is missing: whoever reads it has to be able to take back what was done before.
   *
   * Fails with {@link StreamOpenError}.
   */
  opener(associatedData: Uint8Array): Transform {
    const keys = this.#keyset.keys.filter(({ status }) => status === "enabled").map(({ value }) => value);
    return new Opener(keys, associatedData);
  }
}

const algorithm = "aes-256-gcm";
const segmentBytes = 1_048_576;
const saltBytes = 32;
const noncePrefixBytes = 7;
const headerBytes = 1 + saltBytes + noncePrefixBytes;
const tagBytes = 16;

/** Cuts a stream into pieces of given sizes and holds one back: only the end tells which piece is the last one. */
abstract class Segmenter extends Transform {
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #segment = 0;

  /** Bytes of piece `nth`, from 0. */
  protected abstract sizeOf(nth: number): number;
  protected abstract convert(piece: Buffer, nth: number, isLast: boolean): void;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    try {
      this.#pending.push(chunk);
      this.#pendingBytes += chunk.length;
      while (this.#pendingBytes > this.sizeOf(this.#segment)) {
        const [first = chunk] = this.#pending;
        const joined = this.#pending.length === 1 ? first : Buffer.concat(this.#pending, this.#pendingBytes);
        const size = this.sizeOf(this.#segment);
        this.#pending = [joined.subarray(size)];
        this.#pendingBytes = joined.length - size;
        this.convert(joined.subarray(0, size), this.#segment, false);
        this.#segment += 1;
      }
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  override _flush(done: TransformCallback): void {
    try {
      this.convert(Buffer.concat(this.#pending, this.#pendingBytes), this.#segment, true);
      done();
    } catch (error) {
      done(error as Error);
    }
  }
}

class Sealer extends Segmenter {
  readonly #key: Buffer;
  readonly #noncePrefix = randomBytes(noncePrefixBytes);

  constructor(key: Uint8Array, associatedData: Uint8Array) {
    super();
    const salt = randomBytes(saltBytes);
    this.#key = derive(key, salt, associatedData);
    this.push(Buffer.concat([Buffer.of(headerBytes), salt, this.#noncePrefix]));
  }

  protected sizeOf(nth: number): number {
    return segmentBytes - tagBytes - (nth === 0 ? headerBytes : 0);
  }

  protected convert(plain: Buffer, nth: number, isLast: boolean): void {
    const cipher = createCipheriv(algorithm, this.#key, nonce(this.#noncePrefix, nth, isLast));
    this.push(Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]));
  }
}

class Opener extends Segmenter {
  readonly #keys: readonly Uint8Array[];
  readonly #associatedData: Uint8Array;
  /** The derived key that opened the first segment. */
  #key: Buffer | undefined;
  #noncePrefix = Buffer.alloc(0);

  constructor(keys: readonly Uint8Array[], associatedData: Uint8Array) {
    super();
    this.#keys = keys;
    this.#associatedData = associatedData;
  }

  /** The header counts as part of the first segment. */
  protected sizeOf(): number {
    return segmentBytes;
  }

  protected convert(piece: Buffer, nth: number, isLast: boolean): void {
    if (nth > 0) {
      const plain = this.#key && open(this.#key, this.#noncePrefix, nth, isLast, piece);
      if (plain === undefined) throw new StreamOpenError("not-authentic", nth);
      this.push(plain);
      return;
    }
    if (piece.length < headerBytes + tagBytes || piece[0] !== headerBytes) throw new StreamOpenError("too-short", 0);
    const salt = piece.subarray(1, 1 + saltBytes);
    this.#noncePrefix = Buffer.from(piece.subarray(1 + saltBytes, headerBytes));
    for (const key of this.#keys) {
      const derived = derive(key, salt, this.#associatedData);
      const plain = open(derived, this.#noncePrefix, 0, isLast, piece.subarray(headerBytes));
      if (plain === undefined) continue;
      this.#key = derived;
      this.push(plain);
      return;
    }
    throw new StreamOpenError("not-authentic", 0);
  }
}

function derive(key: Uint8Array, salt: Uint8Array, associatedData: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", key, salt, associatedData, 32));
}

function nonce(prefix: Buffer, nth: number, isLast: boolean): Buffer {
  const bytes = Buffer.alloc(noncePrefixBytes + 5);
  prefix.copy(bytes);
  bytes.writeUInt32BE(nth, noncePrefixBytes);
  bytes[noncePrefixBytes + 4] = isLast ? 1 : 0;
  return bytes;
}

/** Undefined when the tag refuses it. */
function open(key: Buffer, prefix: Buffer, nth: number, isLast: boolean, sealed: Buffer): Buffer | undefined {
  if (sealed.length < tagBytes) return undefined;
  const tagOffset = sealed.length - tagBytes;
  const decipher = createDecipheriv(algorithm, key, nonce(prefix, nth, isLast), { authTagLength: tagBytes });
  decipher.setAuthTag(sealed.subarray(tagOffset));
  const plain = decipher.update(sealed.subarray(0, tagOffset));
  try {
    decipher.final();
    return plain;
  } catch {
    plain.fill(0);
    return undefined;
  }
}
