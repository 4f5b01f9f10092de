import { createCipheriv, createDecipheriv, createSecretKey, randomFillSync, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import { KeysetError, type Keyset } from "./keyset.ts";

/** How much longer a ciphertext is than its plaintext: prefix 5, iv 12, tag 16. */
export const overheadBytes = 33;

/**
 * Why a ciphertext did not open: it is shorter than {@link overheadBytes} · it does not begin with Tink's 0x01 · its
 * key is not among the enabled ones · key, associated data and ciphertext do not belong together.
 */
export type OpenFailure = "too-short" | "not-tink" | "unknown-key" | "not-authentic";

/** A ciphertext that did not open. Carries neither plaintext nor ciphertext. */
export class OpenError extends Error {
  override readonly name = "OpenError";
  readonly reason: OpenFailure;
  /** The key id that the ciphertext claims; absent when it claims none. */
  readonly keyId: number | undefined;

  constructor(reason: OpenFailure, sealedBytes: number, keyId?: number) {
    super(`ciphertext of ${sealedBytes} bytes does not open: ${explanation(reason, keyId)}`);
    this.reason = reason;
    this.keyId = keyId;
  }
}

/**
 * Tink's AEAD for a keyset of AES256_GCM keys: `0x01 | key id u32 | iv 12 | ciphertext | tag 16`. Stock Tink in any
 * language opens what this seals, and the other way round. IVs are random, so seal at most 2^32 values, and no more
 * than 1 TiB, under one primary ({@link sealedRows}, {@link sealedBytes}).
 */
export class Aead {
  readonly primaryKeyId: number;
  readonly #keys = new Map<number, KeyObject>();
  readonly #primary: KeyObject;
  readonly #prefix: Buffer;
  readonly #ivs = Buffer.allocUnsafeSlow(ivBytes * ivsDrawnAtOnce);
  #nextIv = this.#ivs.length;
  #sealedRows = 0;
  #sealedBytes = 0;

  /** @throws {KeysetError} a keyset of another type */
  constructor(keyset: Keyset) {
    if (keyset.type !== "AES256_GCM") throw new KeysetError(`its keys are ${keyset.type} keys and seal nothing`);
    for (const key of keyset.keys) {
      if (key.status === "enabled") this.#keys.set(key.id, createSecretKey(key.value));
    }
    this.primaryKeyId = keyset.primaryKeyId;
    this.#primary = this.#keys.get(keyset.primaryKeyId) as KeyObject; // a Keyset's primary is always enabled
    this.#prefix = Buffer.alloc(prefixBytes, tinkMarker);
    this.#prefix.writeUInt32BE(keyset.primaryKeyId, 1);
  }

  /** Values this instance sealed. */
  get sealedRows(): number {
    return this.#sealedRows;
  }

  /** Bytes of plaintext this instance sealed. */
  get sealedBytes(): number {
    return this.#sealedBytes;
  }

  /** Whether a ciphertext with this key id could open, i.e. the key is here and enabled. */
  knows(keyId: number): boolean {
    return this.#keys.has(keyId);
  }

  /** A new buffer of `plain.length + 33` bytes. */
  seal(plain: Uint8Array, associatedData: Uint8Array): Buffer {
    const sealed = Buffer.allocUnsafe(plain.length + overheadBytes);
    this.sealInto(plain, associatedData, sealed, 0);
    return sealed;
  }

  /**
   * Seals straight into a larger buffer, such as a COPY message under construction.
   *
   * @returns bytes written: `plain.length + 33`
   * @throws {RangeError} the target is too small
   */
  sealInto(plain: Uint8Array, associatedData: Uint8Array, target: Uint8Array, offset: number): number {
    const written = plain.length + overheadBytes;
    if (offset < 0 || offset + written > target.length) {
      throw new RangeError(`sealing needs ${written} bytes at ${offset}, the target has ${target.length}`);
    }
    const iv = this.#takeIv();
    const cipher = createCipheriv(algorithm, this.#primary, iv, gcmOptions);
    cipher.setAAD(associatedData);
    const ciphertext = cipher.update(plain);
    cipher.final();
    target.set(this.#prefix, offset);
    target.set(iv, offset + prefixBytes);
    target.set(ciphertext, offset + bodyOffset);
    target.set(cipher.getAuthTag(), offset + bodyOffset + ciphertext.length);
    this.#sealedRows += 1;
    this.#sealedBytes += plain.length;
    return written;
  }

  /** @throws {OpenError} see {@link OpenFailure}; no byte of plaintext is released before the tag was checked */
  open(sealed: Uint8Array, associatedData: Uint8Array): Buffer {
    const keyId = sealedKeyId(sealed);
    if (keyId === undefined || sealed.length < overheadBytes) {
      throw new OpenError(sealed.length < overheadBytes ? "too-short" : "not-tink", sealed.length);
    }
    const key = this.#keys.get(keyId);
    if (key === undefined) throw new OpenError("unknown-key", sealed.length, keyId);
    const tagOffset = sealed.length - tagBytes;
    const decipher = createDecipheriv(algorithm, key, sealed.subarray(prefixBytes, bodyOffset), gcmOptions);
    decipher.setAAD(associatedData);
    decipher.setAuthTag(sealed.subarray(tagOffset));
    const plain = decipher.update(sealed.subarray(bodyOffset, tagOffset));
    try {
      decipher.final();
    } catch {
      plain.fill(0);
      throw new OpenError("not-authentic", sealed.length, keyId);
    }
    return plain;
  }

  [inspect.custom](): string {
    return `Aead(primary ${this.primaryKeyId}, keys ${[...this.#keys.keys()].join(", ")})`;
  }

  /** IVs are drawn by the thousand, since a call per row costs more than the cipher. Valid until the next call. */
  #takeIv(): Buffer {
    if (this.#nextIv === this.#ivs.length) {
      randomFillSync(this.#ivs);
      this.#nextIv = 0;
    }
    const iv = this.#ivs.subarray(this.#nextIv, this.#nextIv + ivBytes);
    this.#nextIv += ivBytes;
    return iv;
  }
}

/** The key id a ciphertext claims, for a census by prefix; undefined when it does not begin as Tink's do. */
export function sealedKeyId(sealed: Uint8Array): number | undefined {
  if (sealed.length < prefixBytes || sealed[0] !== tinkMarker) return undefined;
  const [, first = 0, second = 0, third = 0, fourth = 0] = sealed;
  return ((first << 24) | (second << 16) | (third << 8) | fourth) >>> 0;
}

const algorithm = "aes-256-gcm";
const tinkMarker = 0x01;
const prefixBytes = 5;
const ivBytes = 12;
const tagBytes = 16;
const bodyOffset = prefixBytes + ivBytes;
const ivsDrawnAtOnce = 1024;
const gcmOptions = { authTagLength: tagBytes };

function explanation(reason: OpenFailure, keyId: number | undefined): string {
  switch (reason) {
    case "too-short":
      return `a sealed value has at least ${overheadBytes}; it was cut, or was never sealed`;
    case "not-tink":
      return "its first byte is not Tink's 0x01; it was never sealed, or not with output prefix TINK";
    case "unknown-key":
      return `key ${keyId} is not among the enabled keys; reload the keyset, then look for the keyset that has it`;
    case "not-authentic":
      return `key ${keyId} refuses it; it was changed, or belongs to another record, kind, tenant or environment`;
  }
}
