import assert from "node:assert/strict";
import { createDecipheriv } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import {
  decodeEncryptedKeyset,
  decodeKeyset,
  encodeEncryptedKeyset,
  encodeKeyset,
  generateKeyset,
  Keyset,
  KeysetError,
  KeysetKey,
} from "../../../migrations/tink/keyset.ts";
import { bytesOf, keysetOf, pythonVectors } from "./vectors.ts";

describe("keyset", () => {
  for (const vector of pythonVectors.keysets) {
    it(`reads and writes Python's "${vector.name}" byte by byte`, () => {
      const expected = keysetOf(vector.name);
      const read = decodeKeyset(bytesOf(vector.keyset));
      assert.equal(read.primaryKeyId, vector.primaryKeyId);
      assert.deepEqual(
        read.keys.map((key) => ({ id: key.id, status: key.status, value: key.value.toString("base64") })),
        vector.keys,
      );
      assert.equal(encodeKeyset(expected).toString("base64"), vector.keyset);
    });

    it(`reads and writes Python's encrypted "${vector.name}" byte by byte`, () => {
      const ciphertext = decodeEncryptedKeyset(bytesOf(vector.encryptedKeyset));
      assert.equal(encodeEncryptedKeyset(ciphertext).toString("base64"), vector.encryptedKeyset);
      assert.ok(decodeKeyset(transitDecrypt(ciphertext)).equals(keysetOf(vector.name)));
    });
  }

  for (const vector of pythonVectors.refusedKeysets) {
    it(`refuses ${vector.name}`, () => assert.throws(() => decodeKeyset(bytesOf(vector.keyset)), KeysetError));
  }

  it("is made with one enabled key of 32 bytes, each time another", () => {
    const [one, other] = [generateKeyset(), generateKeyset()];
    assert.deepEqual([one.keys.length, one.keys[0]?.status, one.keys[0]?.value.length], [1, "enabled", 32]);
    assert.notEqual(one.keys[0]?.value.toString("hex"), other.keys[0]?.value.toString("hex"));
    assert.ok(decodeKeyset(encodeKeyset(one)).equals(one));
    assert.ok(!one.equals(other));
  });

  it("takes a new key without making it primary, and makes it primary later", () => {
    const first = generateKeyset();
    const added = first.withNewKey();
    const newId = added.keys[1]?.id ?? 0;
    assert.equal(added.primaryKeyId, first.primaryKeyId);
    assert.equal(added.keys[1]?.status, "enabled");
    assert.equal(added.withPrimary(newId).primaryKeyId, newId);
    assert.throws(() => added.withPrimary(0), /the primary key 0 is not in it/);
    assert.throws(() => keysetOf("one key disabled, one destroyed").withPrimary(10), /10 is disabled/);
  });

  it("throws nothing but KeysetError for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.throws(() => decodeKeyset(bytes), KeysetError);
        assert.throws(() => decodeEncryptedKeyset(bytes), KeysetError);
      }),
    );
  });

  it("refuses an encrypted keyset of another KMS", () => {
    assert.throws(() => decodeEncryptedKeyset(encodeEncryptedKeyset("aws:v1:aaaa")), /not encrypted by Vault/);
  });

  it("shows no key when printed, turned into JSON or refused", () => {
    const keyset = generateKeyset();
    const value = keyset.keys[0]?.value ?? Buffer.alloc(0);
    const prefixed = encodeKeyset(keyset).subarray(3);
    const texts = [
      inspect(keyset, { depth: 9, showHidden: true }),
      inspect(keyset.keys[0], { showHidden: true }),
      JSON.stringify(keyset),
      printed(() => decodeKeyset(prefixed)),
      printed(() => decodeKeyset(value)),
      printed(() => decodeEncryptedKeyset(value)),
      printed(() => new Keyset(1, [new KeysetKey(1, "enabled", value.subarray(1))])),
    ];
    for (const text of texts) assertHides(text, value);
  });
});

/** Vault's transit ciphertext is base64 of `iv 12 | ciphertext | tag 16`. */
function transitDecrypt(ciphertext: string): Buffer {
  const sealed = bytesOf(ciphertext.replace("vault:v1:", ""));
  const decipher = createDecipheriv("aes-256-gcm", bytesOf(pythonVectors.kek), sealed.subarray(0, 12));
  decipher.setAuthTag(sealed.subarray(-16));
  return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
}

function printed(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return inspect(error, { depth: 9, showHidden: true });
  }
  throw new Error("should have been refused");
}

/** Six bytes of the key in a row would be a leak, in hex, base64, latin1 or as a list of numbers. */
function assertHides(text: string, secret: Buffer): void {
  for (let offset = 0; offset + 6 <= secret.length; offset += 3) {
    const piece = secret.subarray(offset, offset + 6);
    const numbers = [...piece];
    const spellings = [piece.toString("hex"), piece.toString("base64"), piece.toString("latin1"), numbers.join(",")];
    spellings.push(numbers.join(", "), inspect(piece).slice(8, -1));
    for (const spelling of spellings) assert.ok(!text.includes(spelling), "key material in a text");
  }
}
