import { randomBytes, randomInt } from "node:crypto";
import protobuf from "protobufjs/light.js";
import {
  decode,
  KeysetError,
  KeysetKey,
  keysetMessage,
  statusNumbers,
  statusOf,
  symmetric,
  type KeyMessage,
  type KeysetMessage,
} from "./keyset.ts";

/**
 * A Tink keyset for streams: AES256_GCM_HKDF_1MB keys with output prefix RAW, Tink's own template. A stream names no key
 * id, so a reader tries every enabled one.
 */
export class StreamingKeyset {
  readonly primaryKeyId: number;
  readonly keys: readonly KeysetKey[];

  /** @throws {KeysetError} a primary that is not among the enabled keys, or a key of another size */
  constructor(primaryKeyId: number, keys: readonly KeysetKey[]) {
    if (!keys.some(({ id, status }) => id === primaryKeyId && status === "enabled"))
      throw new KeysetError(`the primary key ${primaryKeyId} is not enabled`, kind);
    const short = keys.find(({ status, value }) => status !== "destroyed" && value.length !== keyBytes);
    if (short !== undefined)
      throw new KeysetError(`key ${short.id} has ${short.value.length} bytes, not ${keyBytes}`, kind);
    this.primaryKeyId = primaryKeyId;
    this.keys = [...keys];
  }

  /** The key that seals. */
  get primary(): KeysetKey {
    return this.keys.find(({ id }) => id === this.primaryKeyId) as KeysetKey; // the constructor has looked
  }
}

/** A keyset with one fresh key. */
export function generateStreamingKeyset(): StreamingKeyset {
  const id = randomInt(1, 0x1_0000_0000);
  return new StreamingKeyset(id, [new KeysetKey(id, "enabled", randomBytes(keyBytes))]);
}

/** google.crypto.tink.Keyset in binary. This is the key in clear: hand it to Vault, nothing else. */
export function encodeStreamingKeyset(keyset: StreamingKeyset): Buffer {
  const key = keyset.keys.map((each) => ({
    ...(each.status === "destroyed"
      ? {}
      : {
          keyData: {
            typeUrl,
            value: streamingKeyMessage.encode({ params, keyValue: each.value }).finish(),
            keyMaterialType: symmetric,
          },
        }),
    status: statusNumbers[each.status],
    keyId: each.id,
    outputPrefixType: outputPrefixRaw,
  }));
  return Buffer.from(keysetMessage.encode({ primaryKeyId: keyset.primaryKeyId, key }).finish());
}

/** @throws {KeysetError} not a Keyset, or one with other keys than AES256_GCM_HKDF_1MB, prefix RAW */
export function decodeStreamingKeyset(encoded: Uint8Array): StreamingKeyset {
  const message = decode<KeysetMessage>(keysetMessage, encoded, "these bytes are not a Keyset message");
  const keys = message.key.map((key) => {
    if (key.outputPrefixType !== outputPrefixRaw)
      throw new KeysetError(`key ${key.keyId} has another output prefix`, kind);
    return new KeysetKey(key.keyId, statusOf(key), keyValue(key));
  });
  return new StreamingKeyset(message.primaryKeyId, keys);
}

const kind = "AES256_GCM_HKDF_1MB keys with output prefix RAW";
const typeUrl = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey";
const keyBytes = 32;
const outputPrefixRaw = 3;
/** Tink's template AES256_GCM_HKDF_1MB: segments of 1 MiB, keys of 32 bytes derived by HKDF with SHA-256. */
const params = { ciphertextSegmentSize: 1_048_576, derivedKeySize: 32, hkdfHashType: 3 };

// Numbers and types of tink/proto/aes_gcm_hkdf_streaming.proto; enums are int32, which is the same on the wire.
const schema = protobuf.Root.fromJSON({
  nested: {
    Params: {
      fields: {
        ciphertextSegmentSize: { type: "uint32", id: 1 },
        derivedKeySize: { type: "uint32", id: 2 },
        hkdfHashType: { type: "int32", id: 3 },
      },
    },
    StreamingKey: {
      fields: {
        version: { type: "uint32", id: 1 },
        params: { type: "Params", id: 2 },
        keyValue: { type: "bytes", id: 3 },
      },
    },
  },
});
const streamingKeyMessage = schema.lookupType("StreamingKey");

function keyValue(key: KeyMessage): Uint8Array {
  if (key.status === statusNumbers.destroyed) return Buffer.alloc(0);
  if (key.keyData?.typeUrl !== typeUrl || key.keyData.keyMaterialType !== symmetric)
    throw new KeysetError(`key ${key.keyId} is of another type`, kind);
  const message = decode<{ version: number; params: typeof params | null; keyValue: Uint8Array }>(
    streamingKeyMessage,
    key.keyData.value,
    `key ${key.keyId} is not an AesGcmHkdfStreamingKey message`,
  );
  const isTemplate = Object.entries(params).every(
    ([name, value]) => message.params?.[name as keyof typeof params] === value,
  );
  if (message.version !== 0 || !isTemplate) throw new KeysetError(`key ${key.keyId} has other parameters`, kind);
  return message.keyValue;
}
