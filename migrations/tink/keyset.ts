import { randomBytes, randomInt } from "node:crypto";
import { inspect } from "node:util";
import protobuf from "protobufjs/light.js";
import { encodeKeyValue, type KeyType, keyTypeOf, readKeyValue, typeUrls } from "./key-type.ts";

export type KeyStatus = "enabled" | "disabled" | "destroyed";

/** One key. Printing it, or turning it into JSON, shows id and status only. */
export class KeysetKey {
  /** 1 to 2^32-1; the four bytes after the first one of every ciphertext and MAC. */
  readonly id: number;
  readonly status: KeyStatus;
  readonly type: KeyType;
  readonly #value: Buffer;

  constructor(id: number, status: KeyStatus, value: Uint8Array, type: KeyType = "AES256_GCM") {
    this.id = id;
    this.status = status;
    this.type = type;
    this.#value = Buffer.from(value);
  }

  /** The 32 bytes of the key, empty for a destroyed one. Not a copy. */
  get value(): Buffer {
    return this.#value;
  }

  [inspect.custom](): string {
    return `KeysetKey(${this.id}, ${this.status})`;
  }
}

/** A Tink keyset of keys of one type: the enabled ones open (or check), the primary one seals (or signs). */
export class Keyset {
  readonly primaryKeyId: number;
  readonly keys: readonly KeysetKey[];

  /**
   * @throws {KeysetError} no keys, keys of two types, a key id twice or out of range, a key of another size, a primary
   *   that is not enabled
   */
  constructor(primaryKeyId: number, keys: readonly KeysetKey[]) {
    for (const key of keys) assertKey(key);
    if (new Set(keys.map((key) => key.id)).size < keys.length) throw new KeysetError("a key id occurs twice");
    const primary = keys.find((key) => key.id === primaryKeyId);
    if (primary?.status !== "enabled") {
      throw new KeysetError(`the primary key ${primaryKeyId} is ${primary?.status ?? "not in it"}; it must be enabled`);
    }
    if (keys.some((key) => key.type !== primary.type && key.status !== "destroyed")) {
      throw new KeysetError("its keys are of two types");
    }
    this.primaryKeyId = primaryKeyId;
    this.keys = [...keys];
  }

  /** What its keys are for. */
  get type(): KeyType {
    return this.keys.find((key) => key.id === this.primaryKeyId)?.type as KeyType; // the constructor has seen it
  }

  /** With one more key, enabled but not primary: everybody learns to open with it before anybody seals with it. */
  withNewKey(): Keyset {
    return new Keyset(this.primaryKeyId, [...this.keys, newKey(this.keys, this.type)]);
  }

  /** @throws {KeysetError} the key is absent or not enabled */
  withPrimary(keyId: number): Keyset {
    return new Keyset(keyId, this.keys);
  }

  /**
   * With one key that opens no more, or opens again; it stays in the keyset, so nothing is lost by it.
   *
   * @throws {KeysetError} the key is absent, destroyed, or the primary one
   */
  withStatus(keyId: number, status: "enabled" | "disabled"): Keyset {
    const key = this.keys.find(({ id }) => id === keyId);
    if (key === undefined || key.status === "destroyed")
      throw new KeysetError(`key ${keyId} is ${key?.status ?? "not in it"}`);
    const changed = new KeysetKey(keyId, status, key.value, key.type);
    return new Keyset(
      this.primaryKeyId,
      this.keys.map((each) => (each.id === keyId ? changed : each)),
    );
  }

  equals(other: Keyset): boolean {
    return encodeKeyset(this).equals(encodeKeyset(other));
  }

  [inspect.custom](): string {
    return `Keyset(primary ${this.primaryKeyId}, keys ${this.keys.map((key) => `${key.id} ${key.status}`).join(", ")})`;
  }
}

/** A keyset that is malformed or of a kind this project does not use. The message never quotes bytes of it. */
export class KeysetError extends Error {
  override readonly name = "KeysetError";

  constructor(fault: string, kind = "AES256_GCM or of HMAC_SHA256_256BITTAG keys with output prefix TINK") {
    super(`keyset: ${fault}; allowed are Tink keysets of ${kind}`);
  }
}

/** A keyset with one fresh key. */
export function generateKeyset(type: KeyType = "AES256_GCM"): Keyset {
  const key = newKey([], type);
  return new Keyset(key.id, [key]);
}

/** google.crypto.tink.Keyset in binary. This is the key in clear: hand it to Vault, nothing else. */
export function encodeKeyset(keyset: Keyset): Buffer {
  const key = keyset.keys.map((key) => ({
    ...(key.status === "destroyed" ? {} : { keyData: keyData(key) }),
    status: statusNumbers[key.status],
    keyId: key.id,
    outputPrefixType: outputPrefixTink,
  }));
  return Buffer.from(keysetMessage.encode({ primaryKeyId: keyset.primaryKeyId, key }).finish());
}

/** @throws {KeysetError} not a Keyset, or one with other keys than the two types, prefix TINK */
export function decodeKeyset(encoded: Uint8Array): Keyset {
  const message = decode<KeysetMessage>(keysetMessage, encoded, "these bytes are not a Keyset message");
  const keys = message.key.map((key) => {
    if (key.outputPrefixType !== outputPrefixTink) throw new KeysetError(`key ${key.keyId} has another output prefix`);
    const { type, value } = materialOf(key);
    return new KeysetKey(key.keyId, statusOf(key), value, type);
  });
  return new Keyset(message.primaryKeyId, keys);
}

/**
 * google.crypto.tink.EncryptedKeyset in binary, as Tink's binary writer makes it: without `keyset_info`, which nobody
 * authenticates.
 *
 * @param ciphertext what Vault's transit `encrypt` answered for {@link encodeKeyset}, `vault:v1:...`; Tink's Vault
 *   integration keeps that text as its UTF-8 bytes
 */
export function encodeEncryptedKeyset(ciphertext: string): Buffer {
  return Buffer.from(encryptedKeysetMessage.encode({ encryptedKeyset: Buffer.from(ciphertext) }).finish());
}

/**
 * The Vault ciphertext inside an EncryptedKeyset. A `keyset_info` is ignored.
 *
 * @throws {KeysetError} not an EncryptedKeyset, or one that another KMS than Vault encrypted
 */
export function decodeEncryptedKeyset(encoded: Uint8Array): string {
  const message = decode<{ encryptedKeyset: Uint8Array }>(
    encryptedKeysetMessage,
    encoded,
    "these bytes are not an EncryptedKeyset message",
  );
  const ciphertext = Buffer.from(message.encryptedKeyset).toString("latin1");
  if (!/^vault:v\d+:[A-Za-z0-9+/]+=*$/.test(ciphertext))
    throw new KeysetError("it was not encrypted by Vault's transit");
  return ciphertext;
}

const keyBytes = 32;
/** Tink's KeyMaterialType SYMMETRIC. */
export const symmetric = 1;
const outputPrefixTink = 1;
/** Tink's KeyStatusType. */
export const statusNumbers: Readonly<Record<KeyStatus, number>> = { enabled: 1, disabled: 2, destroyed: 3 };

/** google.crypto.tink.Keyset.Key as the reflection API reads it. */
export interface KeyMessage {
  readonly keyData: { readonly typeUrl: string; readonly value: Uint8Array; readonly keyMaterialType: number } | null;
  readonly status: number;
  readonly keyId: number;
  readonly outputPrefixType: number;
}

/** google.crypto.tink.Keyset as the reflection API reads it. */
export interface KeysetMessage {
  readonly primaryKeyId: number;
  readonly key: readonly KeyMessage[];
}

// Numbers and types of tink/proto/tink.proto. Enums are int32 here, which is the same on the wire; what the reflection
// API calls camel case is what the .proto file calls snake case.
const schema = protobuf.Root.fromJSON({
  nested: {
    KeyData: {
      fields: {
        typeUrl: { type: "string", id: 1 },
        value: { type: "bytes", id: 2 },
        keyMaterialType: { type: "int32", id: 3 },
      },
    },
    Key: {
      fields: {
        keyData: { type: "KeyData", id: 1 },
        status: { type: "int32", id: 2 },
        keyId: { type: "uint32", id: 3 },
        outputPrefixType: { type: "int32", id: 4 },
      },
    },
    Keyset: {
      fields: { primaryKeyId: { type: "uint32", id: 1 }, key: { rule: "repeated", type: "Key", id: 2 } },
    },
    EncryptedKeyset: { fields: { encryptedKeyset: { type: "bytes", id: 2 } } },
  },
});
/** google.crypto.tink.Keyset, whatever its keys are. */
export const keysetMessage = schema.lookupType("Keyset");
const encryptedKeysetMessage = schema.lookupType("EncryptedKeyset");

function keyData(key: KeysetKey): KeyMessage["keyData"] {
  return { typeUrl: typeUrls[key.type], value: encodeKeyValue(key.type, key.value), keyMaterialType: symmetric };
}

function materialOf(key: KeyMessage): { readonly type: KeyType; readonly value: Uint8Array } {
  // Tink drops the type with the material of a destroyed key; what it was for does not matter any more.
  if (key.status === statusNumbers.destroyed) return { type: "AES256_GCM", value: Buffer.alloc(0) };
  const type = key.keyData?.keyMaterialType === symmetric ? keyTypeOf(key.keyData.typeUrl) : undefined;
  if (key.keyData === null || type === undefined) throw new KeysetError(`key ${key.keyId} is of another type`);
  const value = readKeyValue(type, key.keyData.value);
  if (typeof value === "string") throw new KeysetError(`key ${key.keyId} ${value}`);
  return { type, value };
}

/** @throws {KeysetError} a status that Tink does not have */
export function statusOf(key: KeyMessage): KeyStatus {
  for (const status of ["enabled", "disabled", "destroyed"] as const) {
    if (statusNumbers[status] === key.status) return status;
  }
  throw new KeysetError(`key ${key.keyId} has the unknown status ${key.status}`);
}

/** Reads a message without the decoder's own error: nothing promises that it never quotes what it read. */
export function decode<T>(type: protobuf.Type, encoded: Uint8Array, fault: string): T {
  let message: protobuf.Message;
  try {
    message = type.decode(encoded);
  } catch {
    throw new KeysetError(fault);
  }
  return message as unknown as T;
}

function assertKey(key: KeysetKey): void {
  if (!Number.isInteger(key.id) || key.id < 1 || key.id > 0xffff_ffff) {
    throw new KeysetError(`key id ${key.id} is not within 1 to ${0xffff_ffff}`);
  }
  const wantedBytes = key.status === "destroyed" ? 0 : keyBytes;
  if (key.value.length !== wantedBytes) {
    throw new KeysetError(`key ${key.id} (${key.status}) has ${key.value.length} bytes, not ${wantedBytes}`);
  }
}

function newKey(others: readonly KeysetKey[], type: KeyType): KeysetKey {
  let id: number;
  do {
    id = randomInt(1, 0x1_0000_0000);
  } while (others.some((other) => other.id === id));
  return new KeysetKey(id, "enabled", randomBytes(keyBytes), type);
}
