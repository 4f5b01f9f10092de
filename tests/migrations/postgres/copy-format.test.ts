import assert from "node:assert/strict";
import fc from "fast-check";
import { CopyDecoder, CopyEncoder, type CopyRow } from "../../../migrations/postgres/copy-format.ts";

const field = fc.option(fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)));
const rows = fc.array(fc.array(field, { maxLength: 4 }), { maxLength: 20 });

describe("binary COPY", () => {
  it("reads back what it wrote, however the bytes were cut", () => {
    fc.assert(
      fc.property(rows, fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (written, cuts) => {
        const encoder = new CopyEncoder();
        for (const row of written) encoder.add(row);
        const bytes = Buffer.concat(encoder.finish());
        const decoder = new CopyDecoder();
        const read: CopyRow[] = [];
        for (let at = 0, nth = 0; at < bytes.length; nth += 1) {
          const length = cuts[nth % cuts.length] as number;
          // The parser of the protocol uses its buffer again: what a row said must be taken before.
          const packet = Buffer.from(bytes.subarray(at, at + length));
          decoder.push(packet, (row) => read.push(row.map((one) => (one === null ? null : Buffer.from(one)))));
          packet.fill(0xee);
          at += length;
        }
        assert.ok(decoder.isEnded);
        assert.deepEqual(read, written);
      }),
    );
  });

  it("reads back fields that were written in place, also those that are larger than a message", () => {
    for (const bytes of [0, 1, 262_140, 262_144, 1_000_000]) {
      const encoder = new CopyEncoder();
      for (const key of ["a", "b"])
        encoder.addWritten([Buffer.from(key)], bytes, (target, offset) => target.fill(key, offset, offset + bytes));
      assert.equal(encoder.rows, 2);
      const messages = encoder.finish();
      assert.equal(
        encoder.bytes,
        messages.reduce((sum, message) => sum + message.length, 0),
      );
      const read: CopyRow[] = [];
      new CopyDecoder().push(Buffer.concat(messages), (row) => read.push(row));
      assert.deepEqual(
        read.map(([key, value]) => [String(key), value?.equals(Buffer.alloc(bytes, String(key)))]),
        [
          ["a", true],
          ["b", true],
        ],
      );
    }
  });

  it("knows that a stream was cut off", () => {
    const encoder = new CopyEncoder();
    encoder.add([Buffer.from("a"), null]);
    const bytes = Buffer.concat(encoder.finish());
    const decoder = new CopyDecoder();
    decoder.push(bytes.subarray(0, -1), () => {});
    assert.equal(decoder.isEnded, false);
  });

  it("refuses what is not binary COPY, and bytes after its end", () => {
    assert.throws(() => new CopyDecoder().push(Buffer.from("PGCOPY of something else"), () => {}), /signature/);
    const bytes = Buffer.concat(new CopyEncoder().finish());
    assert.throws(
      () => new CopyDecoder().push(Buffer.concat([bytes, Buffer.from([0])]), () => {}),
      /after the end mark/,
    );
  });
});
