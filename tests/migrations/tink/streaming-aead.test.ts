import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, type Transform } from "node:stream";
import { buffer } from "node:stream/consumers";
import { execa } from "execa";
import fc from "fast-check";
import { associatedData } from "../../../migrations/tink/associated-data.ts";
import { encodeEncryptedKeyset, generateKeyset, encodeKeyset, KeysetError } from "../../../migrations/tink/keyset.ts";
import { StreamingAead, StreamOpenError } from "../../../migrations/tink/streaming-aead.ts";
import {
  decodeStreamingKeyset,
  encodeStreamingKeyset,
  generateStreamingKeyset,
  StreamingKeyset,
} from "../../../migrations/tink/streaming-keyset.ts";
import { kekName } from "../../../migrations/vault/transit.ts";
import { getVault } from "../../servers.ts";
import { newTenant, testMount, testTransit } from "../vault/test-vault.ts";

const context = associatedData("dev", "acme", "backup", "one");
const mebibyte = 1_048_576;
/** Plaintext of the first segment: 1 MiB less header and tag. */
const firstBytes = mebibyte - 40 - 16;

describe("streaming AEAD", function () {
  this.timeout(60_000);
  const keyset = generateStreamingKeyset();
  const aead = new StreamingAead(keyset);

  it("gives back any bytes, however the stream is cut into chunks", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 5000 }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 9000 }),
        async (chunks, cut) => {
          const plain = Buffer.concat(chunks);
          const sealed = await through(
            chunks.map((chunk) => Buffer.from(chunk)),
            aead.sealer(context),
          );
          assert.deepEqual(await through(pieces(sealed, cut), aead.opener(context)), plain);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("gives back lengths around the edges of segments, each segment with its tag", async () => {
    const edges = [0, 1, firstBytes, firstBytes + mebibyte - 16];
    for (const edge of edges)
      for (const bytes of [edge - 1, edge, edge + 1].filter((each) => each >= 0)) {
        const plain = randomBytes(bytes);
        const sealed = await through([plain], aead.sealer(context));
        const segments = bytes <= firstBytes ? 1 : 1 + Math.ceil((bytes - firstBytes) / (mebibyte - 16));
        assert.equal(sealed.length, bytes + 40 + segments * 16, `${bytes}`);
        assert.ok((await through(pieces(sealed, 300_000), aead.opener(context))).equals(plain), `${bytes}`);
      }
  });

  it("refuses a stream that was cut, lengthened, changed or put together from segments in another order", async () => {
    const sealed = await through([randomBytes(3 * mebibyte)], aead.sealer(context));
    const changed = Buffer.from(sealed);
    changed.writeUInt8((changed[mebibyte + 5] ?? 0) ^ 1, mebibyte + 5);
    const faults: Record<string, [Buffer, StreamOpenError["reason"]]> = {
      nothing: [Buffer.alloc(0), "too-short"],
      "a header alone": [sealed.subarray(0, 40), "too-short"],
      "cut at the end of a segment": [sealed.subarray(0, 2 * mebibyte), "not-authentic"],
      "cut inside a segment": [sealed.subarray(0, 2 * mebibyte + 100), "not-authentic"],
      "cut inside a tag": [sealed.subarray(0, 3 * mebibyte + 5), "not-authentic"],
      "one byte more": [Buffer.concat([sealed, Buffer.of(0)]), "not-authentic"],
      "one bit changed": [changed, "not-authentic"],
      "two segments exchanged": [
        Buffer.concat([
          sealed.subarray(0, mebibyte),
          sealed.subarray(2 * mebibyte, 3 * mebibyte),
          sealed.subarray(mebibyte, 2 * mebibyte),
          sealed.subarray(3 * mebibyte),
        ]),
        "not-authentic",
      ],
    };
    for (const [name, [stream, reason]] of Object.entries(faults))
      await assert.rejects(
        through([stream], aead.opener(context)),
        (error) => error instanceof StreamOpenError && error.reason === reason,
        name,
      );
  });

  it("refuses another key and another context, and opens with a key that is not the primary one", async () => {
    const sealed = await through([Buffer.from("hello")], aead.sealer(context));
    const other = generateStreamingKeyset();
    await assert.rejects(through([sealed], new StreamingAead(other).opener(context)), StreamOpenError);
    const elsewhere = associatedData("dev", "acme", "backup", "two");
    await assert.rejects(through([sealed], aead.opener(elsewhere)), StreamOpenError);
    const both = new StreamingKeyset(other.primaryKeyId, [...other.keys, ...keyset.keys]);
    assert.equal((await through([sealed], new StreamingAead(both).opener(context))).toString(), "hello");
  });

  it("keeps a keyset through its encoding and takes no other kind of keyset for one", () => {
    const decoded = decodeStreamingKeyset(encodeStreamingKeyset(keyset));
    assert.equal(decoded.primaryKeyId, keyset.primaryKeyId);
    assert.ok(decoded.primary.value.equals(keyset.primary.value));
    assert.throws(() => decodeStreamingKeyset(encodeKeyset(generateKeyset())), KeysetError);
    assert.throws(() => decodeStreamingKeyset(Buffer.from("garbage")), KeysetError);
    assert.throws(() => new StreamingKeyset(1, []), KeysetError);
  });

  it("is what stock Tink for Python opens and writes, keyset included", async () => {
    const transit = await testTransit();
    const tenant = newTenant();
    await transit.ensureKek(tenant);
    const folder = await mkdtemp(join(tmpdir(), "streaming-"));
    try {
      const plain = randomBytes(2 * mebibyte + 12_345);
      const files = Object.fromEntries(
        ["open", "seal", "sealed", "cut"].map((name) => [name, join(folder, name)]),
      ) as Record<"open" | "seal" | "sealed" | "cut", string>;
      await writeFile(files.open, await through([plain], aead.sealer(context)));
      await writeFile(files.cut, (await readFile(files.open)).subarray(0, mebibyte));
      await writeFile(files.seal, plain);
      const wrapped = encodeEncryptedKeyset(await transit.wrap(tenant, encodeStreamingKeyset(keyset)));
      const python = async (request: object) => {
        const input = JSON.stringify({
          ...getVault(),
          mount: testMount,
          kek: kekName(tenant),
          encryptedKeyset: wrapped.toString("base64"),
          associatedData: context.toString("base64"),
          ...request,
        });
        const script = join(import.meta.dirname, "stream_by_python.py");
        const { stdout } = await execa(process.env["RC_PYTHON"] as string, [script], { input });
        return JSON.parse(stdout) as { sha256?: string; error?: string };
      };
      const answer = await python({ open: files.open, seal: files.seal, sealed: files.sealed });
      assert.equal(answer.sha256, createHash("sha256").update(plain).digest("hex"));
      assert.ok((await through([await readFile(files.sealed)], aead.opener(context))).equals(plain));
      const cut = await python({ open: files.cut });
      assert.equal(cut.sha256, undefined);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

async function through(chunks: readonly Buffer[], transform: Transform): Promise<Buffer> {
  return buffer(Readable.from(chunks, { objectMode: true }).compose(transform));
}

function pieces(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, nth) =>
    bytes.subarray(nth * size, (nth + 1) * size),
  );
}
