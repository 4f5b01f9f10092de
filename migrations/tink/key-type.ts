import protobuf from "protobufjs/light.js";

/** What a key is for: `AES256_GCM` seals and opens, `HMAC_SHA256` (Tink's HMAC_SHA256_256BITTAG) signs and checks. */
export type KeyType = "AES256_GCM" | "HMAC_SHA256";

/** Tink's name of each type, in the keyset. */
export const typeUrls: Readonly<Record<KeyType, string>> = {
  AES256_GCM: "type.googleapis.com/google.crypto.tink.AesGcmKey",
  HMAC_SHA256: "type.googleapis.com/google.crypto.tink.HmacKey",
};

/** Undefined for a type that this project does not use. */
export function keyTypeOf(typeUrl: string): KeyType | undefined {
  return (Object.keys(typeUrls) as KeyType[]).find((type) => typeUrls[type] === typeUrl);
}

// Numbers and types of tink/proto/aes_gcm.proto and hmac.proto.
const schema = protobuf.Root.fromJSON({
  nested: {
    AesGcmKey: { fields: { version: { type: "uint32", id: 1 }, keyValue: { type: "bytes", id: 3 } } },
    HmacParams: { fields: { hash: { type: "int32", id: 1 }, tagSize: { type: "uint32", id: 2 } } },
    HmacKey: {
      fields: {
        version: { type: "uint32", id: 1 },
        params: { type: "HmacParams", id: 2 },
        keyValue: { type: "bytes", id: 3 },
      },
    },
  },
});
const messages: Readonly<Record<KeyType, protobuf.Type>> = {
  AES256_GCM: schema.lookupType("AesGcmKey"),
  HMAC_SHA256: schema.lookupType("HmacKey"),
};
/** SHA256 in Tink's HashType. */
const sha256 = 3;
/** Length of a MAC without its prefix. */
const tagSize = 32;

/** The key's message in binary, as Tink itself writes it: `version` is 0 and so, in proto3, not written. */
export function encodeKeyValue(type: KeyType, keyValue: Uint8Array): Uint8Array {
  const params = type === "HMAC_SHA256" ? { params: { hash: sha256, tagSize } } : {};
  return messages[type].encode({ ...params, keyValue }).finish();
}

/** The bytes of the key, or what is wrong with the message: never with its bytes. */
export function readKeyValue(type: KeyType, encoded: Uint8Array): Uint8Array | string {
  let read: { version: number; keyValue: Uint8Array; params?: { hash: number; tagSize: number } | null };
  try {
    read = messages[type].decode(encoded) as unknown as typeof read;
  } catch {
    return `is not ${type === "AES256_GCM" ? "an AesGcmKey" : "an HmacKey"} message`;
  }
  if (read.version !== 0) return `has version ${read.version}, not 0`;
  if (type === "HMAC_SHA256" && (read.params?.hash !== sha256 || read.params.tagSize !== tagSize)) {
    return "has another hash or tag size than HMAC_SHA256_256BITTAG";
  }
  return read.keyValue;
}
