import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import { inspect } from "node:util";
import { KeysetError, type Keyset } from "./keyset.ts";

/** Length of a MAC: prefix 5, tag 32. */
export const macBytes = 37;

/**
 * Tink's MAC for a keyset of HMAC_SHA256_256BITTAG keys: `0x01 | key id u32 | HMAC-SHA256`. Stock Tink in any language
 * checks what this signs, and the other way round.
 */
export class Mac {
  readonly primaryKeyId: number;
  readonly #keys = new Map<number, KeyObject>();

  /** @throws {KeysetError} a keyset of another type */
  constructor(keyset: Keyset) {
    if (keyset.type !== "HMAC_SHA256") throw new KeysetError(`its keys are ${keyset.type} keys and sign nothing`);
    for (const key of keyset.keys) {
      if (key.status === "enabled") this.#keys.set(key.id, createSecretKey(key.value));
    }
    this.primaryKeyId = keyset.primaryKeyId;
  }

  /** The MAC of some bytes under the primary key, {@link macBytes} long. */
  sign(data: Uint8Array): Buffer {
    return this.#under(this.primaryKeyId, data) as Buffer; // a Keyset's primary is always enabled
  }

  /** Whether one of the enabled keys made this MAC for these bytes. Never throws. */
  isGenuine(mac: Uint8Array, data: Uint8Array): boolean {
    if (mac.length !== macBytes) return false;
    const claimed = Buffer.from(mac.buffer, mac.byteOffset, mac.byteLength);
    const expected = this.#under(claimed.readUInt32BE(1), data);
    return expected !== undefined && timingSafeEqual(expected, claimed);
  }

  [inspect.custom](): string {
    return `Mac(primary ${this.primaryKeyId}, keys ${[...this.#keys.keys()].join(", ")})`;
  }

  #under(keyId: number, data: Uint8Array): Buffer | undefined {
    const key = this.#keys.get(keyId);
    if (key === undefined) return undefined;
    const prefix = Buffer.alloc(macBytes - 32, tinkMarker);
    prefix.writeUInt32BE(keyId, 1);
    return Buffer.concat([prefix, createHmac("sha256", key).update(data).digest()]);
  }
}

const tinkMarker = 0x01;
