import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import type { CollectionSpec } from "../../../migrations/milvus/collection.ts";
import { MilvusError } from "../../../migrations/milvus/milvus-error.ts";
import type { MilvusSession } from "../../../migrations/milvus/session.ts";
import { requestBytes, TenantVectors } from "../../../migrations/milvus/vectors.ts";
import { createCollection, dropCollection, floats, openRoot } from "./milvus-fixture.ts";

const dimension = 8;

describe("a tenant's vectors in Milvus", function () {
  this.timeout(120_000);
  let session: MilvusSession;
  let spec: CollectionSpec;
  before(async () => {
    session = await openRoot();
    spec = await createCollection(session, { dimension });
  });
  after(async () => {
    await dropCollection(session, spec);
    await session.close();
  });

  const tenant = (): TenantVectors => new TenantVectors(session, spec, `t-${randomUUID().slice(0, 8)}`);
  const newKeys = (count: number): string[] => Array.from({ length: count }, () => randomUUID()).sort();

  it("come back bit by bit, whatever finite floats they hold", async () => {
    const float = fc.float({ noNaN: true, noDefaultInfinity: true });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(float, { minLength: dimension, maxLength: dimension }), { minLength: 1, maxLength: 40 }),
        async (rows) => {
          const vectors = tenant();
          const keys = newKeys(rows.length);
          const bytes = floats(...rows.flat());
          await vectors.upsert({ keys, versions: keys.map((_, nth) => nth), vectors: bytes });
          const read = await vectors.read({ lower: null, upper: null });
          assert.deepEqual(read.keys, keys);
          assert.deepEqual(
            read.versions,
            keys.map((_, nth) => nth),
          );
          assert.ok(read.vectors.equals(bytes));
        },
      ),
      { numRuns: 15 },
    );
  });

  it("stay one row a key however often they are written, and the last one stands", async () => {
    const vectors = tenant();
    const keys = newKeys(3);
    for (let version = 1; version <= 4; version += 1) {
      const bytes = floats(...keys.flatMap((_, nth) => Array.from({ length: dimension }, () => version * 10 + nth)));
      await vectors.upsert({ keys, versions: keys.map(() => version), vectors: bytes });
      assert.equal(await vectors.count(), 3);
      const read = await vectors.read({ lower: null, upper: null });
      assert.deepEqual([read.versions, read.vectors.equals(bytes)], [[version, version, version], true]);
    }
  });

  it("are split into requests that each hold all their rows", async () => {
    const vectors = tenant();
    const count = Math.ceil((3.5 * requestBytes) / (dimension * 4 + 128));
    const keys = newKeys(count);
    const bytes = Buffer.from(Float32Array.from({ length: count * dimension }, (_, nth) => nth / 7).buffer);
    await vectors.upsert({ keys, versions: keys.map(() => 1), vectors: bytes });
    assert.equal(await vectors.count(), count);
    const [lower, upper] = [keys[100] as string, keys[250] as string];
    const nothing = { keys: [], versions: [], vectors: Buffer.alloc(0) };
    assert.deepEqual(await vectors.read({ lower: keys.at(-1) as string, upper: null }), nothing);
    assert.deepEqual(await vectors.readKeys([]), nothing);
    const read = await vectors.read({ lower, upper });
    assert.deepEqual(read.keys, keys.slice(101, 251));
    assert.ok(read.vectors.equals(bytes.subarray(101 * dimension * 4, 251 * dimension * 4)));
  });

  it("are a tenant's own: the same keys of another one are other rows", async () => {
    const [one, other] = [tenant(), tenant()];
    const keys = newKeys(2);
    const [a, b] = [floats(...new Array<number>(16).fill(1)), floats(...new Array<number>(16).fill(2))];
    await one.upsert({ keys, versions: [1, 1], vectors: a });
    await other.upsert({ keys, versions: [7, 7], vectors: b });
    await one.delete([keys[0] as string]);
    assert.deepEqual([await one.count(), await other.count()], [1, 2]);
    await other.deleteAll();
    assert.deepEqual([await one.count(), await other.count()], [1, 0]);
    const left = await one.readKeys(keys);
    assert.deepEqual([left.keys, left.vectors.equals(a.subarray(32))], [[keys[1]], true]);
  });

  it("are the same after a flush and the building of the index", async () => {
    const vectors = tenant();
    const keys = newKeys(2000);
    const bytes = floats(...Array.from({ length: 2000 * dimension }, (_, nth) => Math.sin(nth) * 1e3));
    await vectors.upsert({ keys, versions: keys.map(() => 3), vectors: bytes });
    await vectors.flush();
    const read = await vectors.read({ lower: null, upper: null });
    assert.deepEqual([read.keys.length, read.vectors.equals(bytes)], [2000, true]);
  });

  it("are refused with a key twice, with a vector too few, and for a tenant that cannot stand in a filter", async () => {
    const vectors = tenant();
    const key = randomUUID();
    const two = floats(...new Array<number>(16).fill(1));
    await assert.rejects(vectors.upsert({ keys: [key, key], versions: [1, 1], vectors: two }), RangeError);
    await assert.rejects(vectors.upsert({ keys: [key], versions: [1], vectors: two.subarray(0, 28) }), RangeError);
    assert.throws(() => new TenantVectors(session, spec, 'a" || true || "'), MilvusError);
    assert.equal(await vectors.count(), 0);
  });
});
