import assert from "node:assert/strict";
import { cutoverTenant, finalizeTenant, prepareTenant } from "../../../migrations/mirror/engine.ts";
import { runTenants } from "../../../migrations/mirror/pool.ts";
import {
  complete,
  createVectorTenant,
  digestOf,
  done,
  erase,
  newIds,
  newVector,
  onMilvus,
  onPgvector,
  readSink,
  readSource,
  register,
  sourceTable,
  type Vectors,
  type VectorTenant,
  writeSource,
} from "./vector-fixture.ts";

const mirror = "vector-store";

describe("the mirror vector-store", function () {
  this.timeout(180_000);
  let tenant: VectorTenant;
  let expected: Vectors;
  beforeEach(async () => {
    expected = new Map();
    tenant = await createVectorTenant();
  });
  afterEach(() => tenant.close());

  const hnsw =
    "CREATE INDEX chunk_embeddings_embedding_idx ON public.chunk_embeddings USING hnsw (embedding vector_cosine_ops)";
  /** Definitions of valid indexes by which pgvector is searched. */
  async function searchIndexes(): Promise<string[]> {
    const found = await tenant.admin.query<{ definition: string }>(
      `SELECT pg_get_indexdef(indexrelid) AS definition FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid
       JOIN pg_am AS a ON a.oid = c.relam WHERE indrelid = to_regclass('public.chunk_embeddings') AND amname = 'hnsw' AND indisvalid`,
    );
    return found.rows.map(({ definition }) => definition);
  }

  it("goes to Milvus and back with every write between, bit by bit, and the digest is the same on both sides", async () => {
    const ids = newIds(3000);
    await writeSource(tenant.admin, expected, ids);
    const prepared = done(await prepareTenant(tenant.job(onMilvus)));
    assert.deepEqual([prepared.positions[mirror], prepared.rows], ["mirroring", 3000]);
    assert.equal(digestOf(await readSink(tenant)), digestOf(expected));

    const before = await tenant.as("platform_r1");
    await writeSource(before, expected, [...ids.slice(0, 40), ...newIds(20)]);
    await before.query("DELETE FROM chunks WHERE id = ANY($1)", [ids.slice(100, 130)]);
    ids.slice(100, 130).forEach((id) => expected.delete(id));
    const cut = done(await cutoverTenant(tenant.job(onMilvus)));
    assert.equal(cut.positions[mirror], "switched");
    const noted = await tenant.admin.query("SELECT detail FROM rc.journal WHERE event = 'confirmed'");
    const { vectors: confirmed, queries, recallAt10 } = noted.rows[0].detail;
    assert.deepEqual([noted.rowCount, confirmed, queries], [1, expected.size, 10]);
    assert.ok(recallAt10 >= 0.9, `Milvus found ${recallAt10} of what an exact scan finds`);
    assert.equal(digestOf(await readSink(tenant)), digestOf(expected));
    assert.equal(digestOf(await readSource(tenant)), digestOf(expected));
    await assert.rejects(before.query("SELECT embedding FROM chunk_embeddings LIMIT 1"), { code: "42501" });

    const after = await tenant.as("platform_r2");
    await complete(after, tenant.vectors, expected, await register(after, [...ids.slice(200, 240), ...newIds(25)]));
    await erase(after, tenant.vectors, expected, ids.slice(300, 320));
    assert.equal(digestOf(await readSink(tenant)), digestOf(expected));
    done(await prepareTenant(tenant.job(onPgvector)));
    await complete(after, tenant.vectors, expected, await register(after, newIds(3)));
    assert.deepEqual(await searchIndexes(), []);
    const back = done(await cutoverTenant(tenant.job(onPgvector)));
    assert.equal(back.positions[mirror], "mirroring");
    assert.deepEqual(await searchIndexes(), [hnsw]);
    assert.equal(digestOf(await readSource(tenant)), digestOf(expected));
    await assert.rejects(after.query("SELECT state FROM chunk_vectors LIMIT 1"), { code: "42501" });

    await writeSource(await tenant.as("platform_r1"), expected, ids.slice(400, 410));
    const off = done(await finalizeTenant(tenant.job(onPgvector, { mirrors: [mirror] })));
    assert.equal(off.positions[mirror], "off");
    assert.equal(digestOf(await readSource(tenant)), digestOf(expected));
    assert.equal(await tenant.vectors.count(), 0);
  });

  it("rebuilds pgvector from Milvus after it was retired, and returns with every write", async () => {
    const ids = newIds(1500);
    await writeSource(tenant.admin, expected, ids);
    done(await prepareTenant(tenant.job(onMilvus)));
    done(await cutoverTenant(tenant.job(onMilvus)));
    const retired = done(await finalizeTenant(tenant.job(onMilvus, { mirrors: [mirror] })));
    assert.equal(retired.positions[mirror], "retired");
    await tenant.admin.query("DROP TABLE public.chunk_embeddings");
    const after = await tenant.as("platform_r2");
    await complete(after, tenant.vectors, expected, await register(after, [...ids.slice(0, 50), ...newIds(50)]));
    await erase(after, tenant.vectors, expected, ids.slice(60, 70));

    await tenant.admin.query(
      `SET ROLE rc_migrator; SET search_path = public; ${sourceTable()}; RESET search_path; RESET ROLE`,
    );
    // Alembic's downgrade makes it with the table; filled row by row it would take several times as long.
    await tenant.admin.query(`SET ROLE rc_migrator; SET search_path = public; ${hnsw}; RESET search_path; RESET ROLE`);
    const rebuilt = done(await prepareTenant(tenant.job(onPgvector)));
    assert.deepEqual(await searchIndexes(), [hnsw]);
    assert.equal(rebuilt.positions[mirror], "switched");
    done(await cutoverTenant(tenant.job(onPgvector)));
    assert.equal(digestOf(await readSource(tenant)), digestOf(expected));
  });

  it("finds a bit flipped, a row missing and one too many in Milvus before authority moves, and repairs them once", async () => {
    const ids = newIds(300).sort();
    await writeSource(tenant.admin, expected, ids);
    process.env["RC_FAULT_POINT"] = "verify.before";
    const [killed] = await runTenants("prepare", [tenant.job(onMilvus)], { concurrency: 1 });
    delete process.env["RC_FAULT_POINT"];
    assert.match(killed?.reason ?? "", /SIGKILL/);
    const [flipped, missing] = ids as [string, string];
    const spoiled = Buffer.from(expected.get(flipped) as Buffer);
    spoiled[8] = (spoiled[8] as number) ^ 1;
    const stray = newIds(1);
    await tenant.vectors.upsert({
      keys: [flipped, ...stray],
      versions: [1, 1],
      vectors: Buffer.concat([spoiled, newVector()]),
    });
    await tenant.vectors.delete([missing]);
    // Counts alone are no proof: there are as many as there should be.
    assert.equal(await tenant.vectors.count(), 300);

    let resumed = await prepareTenant(tenant.job(onMilvus));
    while (resumed.reason?.includes("is busy") === true) resumed = await prepareTenant(tenant.job(onMilvus));
    done(resumed);
    const found = await tenant.admin.query("SELECT detail FROM rc.journal WHERE event = 'repaired'");
    const { missing: lacking, surplus, different } = found.rows[0].detail;
    assert.deepEqual([found.rowCount, lacking, surplus, different], [1, 1, 1, 1]);
    assert.equal(digestOf(await readSink(tenant)), digestOf(expected));
  });

  it("leaves a write that is pending where it is, and moves nothing until it is whole", async () => {
    const ids = newIds(20);
    await writeSource(tenant.admin, expected, ids);
    done(await prepareTenant(tenant.job(onMilvus)));
    done(await cutoverTenant(tenant.job(onMilvus)));
    const after = await tenant.as("platform_r2");
    const versions = await register(after, ids.slice(0, 2));
    // One says that it is whole, and Milvus has another version of it.
    await after.query("UPDATE chunk_vectors SET state = 'ready' WHERE chunk_id = $1", [ids[0]]);
    const refused = await cutoverTenant(tenant.job(onPgvector));
    assert.equal(refused.status, "failed");
    assert.match(refused.reason ?? "", /2 rows of chunk_vectors .*pending/);
    assert.equal(refused.positions[mirror], "switched");
    await complete(after, tenant.vectors, expected, versions);
    done(await cutoverTenant(tenant.job(onPgvector)));
    assert.equal(digestOf(await readSource(tenant)), digestOf(expected));
  });
});
