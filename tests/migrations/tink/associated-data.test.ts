import assert from "node:assert/strict";
import fc from "fast-check";
import { associatedData, associatedDataOf } from "../../../migrations/tink/associated-data.ts";
import { pythonVectors } from "./vectors.ts";

type Context = [environment: string, tenant: string, kind: string, recordId: string];

describe("associated data", () => {
  const part = fc.string({ unit: "binary", minLength: 1, maxLength: 12 });
  const context = fc.tuple(part, part, part, part);

  it("is encoded as Python's vectors are", () => {
    for (const vector of pythonVectors.associatedData) {
      assert.equal(associatedData(...(vector.context as Context)).toString("hex"), vector.encoded);
    }
  });

  it("gives the four parts back, so that no two contexts share an encoding", () => {
    fc.assert(fc.property(context, (parts) => assert.deepEqual(decoded(associatedData(...parts)), parts)));
  });

  it("differs when the same text is cut into parts differently", () => {
    const text = fc.string({ unit: "binary", minLength: 6, maxLength: 24 }).map((each) => [...each]);
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: 5 }), { minLength: 3, maxLength: 3 });
    fc.assert(
      fc.property(text, cuts, cuts, (letters, left, right) => {
        fc.pre(letters.length >= 6);
        const [one, other] = [cut(letters, left), cut(letters, right)];
        assert.equal(
          associatedData(...one).equals(associatedData(...other)),
          JSON.stringify(one) === JSON.stringify(other),
        );
      }),
    );
  });

  it("is the same for one record and for a series", () => {
    fc.assert(
      fc.property(context, ([environment, tenant, kind, recordId]) => {
        const series = associatedDataOf(environment, tenant, kind);
        series("another");
        assert.deepEqual(series(recordId), associatedData(environment, tenant, kind, recordId));
      }),
    );
  });

  it("refuses an empty part by its name", () => {
    assert.throws(() => associatedData("", "acme", "prompt.body", "1"), /environment is empty/);
    assert.throws(() => associatedData("dev", "", "prompt.body", "1"), /tenant is empty/);
    assert.throws(() => associatedData("dev", "acme", "", "1"), /kind is empty/);
    assert.throws(() => associatedData("dev", "acme", "prompt.body", ""), /record id is empty/);
  });

  it("refuses lone surrogates, which UTF-8 would all write as U+FFFD", () => {
    assert.throws(() => associatedData("dev", "acme", "prompt.body", "a\ud800"), /record id is not well-formed/);
    assert.throws(() => associatedData("dev", "\udfff", "prompt.body", "1"), /tenant is not well-formed/);
  });
});

function decoded(encoded: Buffer): string[] {
  const parts: string[] = [];
  for (let offset = 0; offset < encoded.length;) {
    const end = offset + 4 + encoded.readUInt32BE(offset);
    parts.push(encoded.toString("utf8", offset + 4, end));
    offset = end;
  }
  return parts;
}

function cut(letters: readonly string[], cuts: readonly number[]): Context {
  const [first = 1, second = 2, third = 3] = [...cuts].sort((a, b) => a - b);
  const piece = (from: number, to?: number) => letters.slice(from, to).join("");
  return [piece(0, first), piece(first, second), piece(second, third), piece(third)];
}
