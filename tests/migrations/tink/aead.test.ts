import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import { Aead, OpenError, overheadBytes, sealedKeyId, type OpenFailure } from "../../../migrations/tink/aead.ts";
import { associatedData } from "../../../migrations/tink/associated-data.ts";
import { generateKeyset, Keyset, KeysetKey } from "../../../migrations/tink/keyset.ts";
import { bytesOf, keysetOf, pythonVectors } from "./vectors.ts";

const context = associatedData("dev", "acme", "prompt.body", "1");

describe("aead", () => {
  const aead = new Aead(generateKeyset());
  const anyBytes = fc.uint8Array({ maxLength: 2000 });

  it("opens what Python sealed", () => {
    for (const vector of pythonVectors.ciphertexts) {
      const [environment, tenant, kind, recordId] = vector.context as [string, string, string, string];
      const opened = new Aead(keysetOf(vector.keyset)).open(
        bytesOf(vector.ciphertext),
        associatedData(environment, tenant, kind, recordId),
      );
      assert.equal(opened.toString("base64"), vector.plaintext);
    }
  });

  it("gives back any bytes under any associated data, 33 bytes longer in between", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, (plain, ad) => {
        const sealed = aead.seal(plain, ad);
        assert.equal(sealed.length, plain.length + overheadBytes);
        assert.deepEqual(Buffer.from(aead.open(sealed, ad)), Buffer.from(plain));
      }),
    );
  });

  it("gives back values up to 1 MB", () => {
    const sizes = fc.integer({ min: 0, max: 2 ** 20 });
    fc.assert(
      fc.property(sizes, (size) => {
        const plain = randomBytes(size);
        assert.ok(aead.open(aead.seal(plain, context), context).equals(plain));
      }),
      { numRuns: 20, examples: [[0], [2 ** 20]] },
    );
  });

  it("refuses a ciphertext with any one bit changed", () => {
    const at = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(anyBytes, at, (plain, where) => {
        const sealed = aead.seal(plain, context);
        const bit = Math.floor(where * sealed.length * 8);
        sealed[bit >> 3] = (sealed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const wanted: OpenFailure = bit < 8 ? "not-tink" : bit < 40 ? "unknown-key" : "not-authentic";
        assert.equal(refusal(() => aead.open(sealed, context)).reason, wanted);
      }),
    );
  });

  it("refuses a ciphertext cut at any place, or with bytes after it", () => {
    fc.assert(
      fc.property(anyBytes, fc.nat(), (plain, where) => {
        const sealed = aead.seal(plain, context);
        const cut = sealed.subarray(0, where % sealed.length);
        const wanted: OpenFailure = cut.length < overheadBytes ? "too-short" : "not-authentic";
        assert.equal(refusal(() => aead.open(cut, context)).reason, wanted);
        assert.equal(
          refusal(() => aead.open(Buffer.concat([sealed, plain, cut, Buffer.of(0)]), context)).reason,
          "not-authentic",
        );
      }),
    );
  });

  it("refuses every other associated data", () => {
    fc.assert(
      fc.property(anyBytes, anyBytes, anyBytes, (plain, ad, other) => {
        fc.pre(!Buffer.from(ad).equals(other));
        assert.equal(refusal(() => aead.open(aead.seal(plain, ad), other)).reason, "not-authentic");
      }),
    );
  });

  it("refuses a ciphertext moved to another record, kind, tenant or environment", () => {
    const sealed = aead.seal(Buffer.from("hello"), context);
    const elsewhere = [
      associatedData("dev", "acme", "prompt.body", "2"),
      associatedData("dev", "acme", "message.body", "1"),
      associatedData("dev", "globex", "prompt.body", "1"),
      associatedData("prod", "acme", "prompt.body", "1"),
    ];
    for (const ad of elsewhere) assert.equal(refusal(() => aead.open(sealed, ad)).reason, "not-authentic");
  });

  it("seals the same value differently each time", () => {
    const plain = Buffer.alloc(16);
    const seen = new Set<string>();
    for (let row = 0; row < 5000; row++) seen.add(aead.seal(plain, context).toString("hex", 5, 17));
    assert.equal(seen.size, 5000);
  });

  it("seals into the middle of a buffer and touches nothing beside", () => {
    fc.assert(
      fc.property(anyBytes, fc.nat(50), fc.nat(50), (plain, before, after) => {
        const target = Buffer.alloc(before + plain.length + overheadBytes + after, 0xaa);
        const end = before + aead.sealInto(plain, context, target, before);
        assert.equal(end, target.length - after);
        assert.deepEqual(Buffer.from(aead.open(target.subarray(before, end), context)), Buffer.from(plain));
        assert.ok(target.subarray(0, before).every((byte) => byte === 0xaa));
        assert.ok(target.subarray(end).every((byte) => byte === 0xaa));
      }),
    );
    const small = Buffer.alloc(10 + overheadBytes - 1);
    assert.throws(() => aead.sealInto(Buffer.alloc(10), context, small, 0), RangeError);
    assert.throws(() => aead.sealInto(Buffer.alloc(1), context, small, -1), RangeError);
    assert.ok(small.every((byte) => byte === 0));
  });

  it("seals with the primary key and opens with every enabled one", () => {
    const first = generateKeyset();
    const second = first.withNewKey();
    const third = second.withPrimary(second.keys[1]?.id ?? 0);
    const sealedBefore = new Aead(first).seal(Buffer.from("old"), context);
    const sealedAfter = new Aead(third).seal(Buffer.from("new"), context);
    assert.equal(new Aead(third).open(sealedBefore, context).toString(), "old");
    assert.equal(new Aead(second).open(sealedAfter, context).toString(), "new");
    assert.equal(sealedKeyId(sealedAfter), third.primaryKeyId);
    const refused = refusal(() => new Aead(first).open(sealedAfter, context));
    assert.deepEqual([refused.reason, refused.keyId], ["unknown-key", third.primaryKeyId]);
  });

  it("neither knows nor uses a disabled key", () => {
    const [kept, gone] = [generateKeyset(), generateKeyset()].map((each) => each.keys[0] as KeysetKey) as [
      KeysetKey,
      KeysetKey,
    ];
    const both = new Aead(new Keyset(kept.id, [kept, new KeysetKey(gone.id, "disabled", gone.value)]));
    const sealed = new Aead(new Keyset(gone.id, [gone])).seal(Buffer.from("x"), context);
    assert.deepEqual([both.knows(kept.id), both.knows(gone.id)], [true, false]);
    assert.equal(refusal(() => both.open(sealed, context)).reason, "unknown-key");
  });

  it("reads the key id of what looks sealed, and nothing of what does not", () => {
    assert.equal(sealedKeyId(Buffer.from("01fffffffe00", "hex")), 0xfffffffe);
    assert.equal(sealedKeyId(Buffer.from("0000000001", "hex")), undefined);
    assert.equal(sealedKeyId(Buffer.from("01000000", "hex")), undefined);
    assert.equal(sealedKeyId(Buffer.alloc(0)), undefined);
  });

  it("counts what it sealed, for the limit of one primary", () => {
    const counting = new Aead(generateKeyset());
    counting.seal(Buffer.alloc(10), context);
    counting.seal(Buffer.alloc(5), context);
    assert.deepEqual([counting.sealedRows, counting.sealedBytes], [2, 15]);
  });

  it("shows neither plaintext nor key in its errors or when printed", () => {
    const letters = fc.string({ unit: fc.constantFrom(..."QXZWJVKYqxzwjvky"), minLength: 8, maxLength: 60 });
    fc.assert(
      fc.property(letters, (plain) => {
        const sealed = aead.seal(Buffer.from(plain), context);
        sealed[sealed.length - 1] = (sealed[sealed.length - 1] ?? 0) ^ 1;
        const failures = [
          refusal(() => aead.open(sealed, context)),
          refusal(() => aead.open(Buffer.from(plain), context)),
          refusal(() => aead.open(Buffer.from(plain.repeat(9)), context)),
        ];
        for (const failure of failures) {
          const text = inspect(failure, { depth: 9, showHidden: true });
          assert.ok(!text.includes(plain) && !text.includes(Buffer.from(plain).toString("hex")));
          assert.equal(failure.cause, undefined);
        }
      }),
    );
    assert.match(inspect(aead, { depth: 9, showHidden: true }), /^Aead\(primary \d+, keys \d+\)$/);
    assert.match(JSON.stringify(aead), /^\{"primaryKeyId":\d+\}$/);
  });
});

function refusal(act: () => unknown): OpenError {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof OpenError, `another error: ${inspect(error)}`);
    return error;
  }
  assert.fail("opened what it must refuse");
}
