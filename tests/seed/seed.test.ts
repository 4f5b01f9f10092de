import assert from "node:assert/strict";
import { loadCorpus, PIECE_BYTES } from "../../local/seed/corpus.ts";
import { type BodyDigest, digestOf, sha256 } from "../../local/seed/row-digest.ts";
import { type SeedArgs, type SeededTenant, seedTenants } from "../../local/seed/seed.ts";
import { ContractDatabases, testPostgresUrl } from "../workload/contract-database.ts";

const R1 = { release: "r1", pin: "r1@000000000001" };

describe("the corpus", function () {
  this.timeout(120_000);

  it("cuts 40,000 distinct pieces of real text, the same ones each time", async () => {
    const corpus = await loadCorpus();
    const pieces = [...corpus.pieces(40_000, 1)];
    assert.equal(new Set(pieces).size, 40_000);
    assert.deepEqual([...(await loadCorpus()).pieces(500, 1)].map(sha256), pieces.slice(0, 500).map(sha256));
    const sizes = pieces.map((piece) => Buffer.byteLength(piece)).sort((a, b) => a - b);
    assert.ok((sizes[0] as number) >= PIECE_BYTES.least && (sizes.at(-1) as number) <= PIECE_BYTES.most);
    assert.ok(
      (sizes.at(-1) as number) > 50_000 && (sizes[20_000] as number) < 2_000,
      "the mix of sizes is not realistic",
    );
    for (const script of ["Cyrillic", "Han", "Hangul", "Hiragana"]) {
      const count = pieces.filter((piece) => new RegExp(`\\p{Script=${script}}`, "u").test(piece)).length;
      assert.ok(count > 400, `only ${count} pieces hold ${script}`);
    }
    assert.ok(
      pieces.every((piece) => piece.isWellFormed() && !piece.includes("\0") && !piece.includes("\ufffd\ufffd")),
    );
  });

  it("says so when it is asked for more distinct pieces than there are", async () => {
    const { Corpus } = await import("../../local/seed/corpus.ts");
    const text = Buffer.from("A line of a licence.\n".repeat(30));
    const poor = new Corpus([{ genre: "prose", path: "LICENSE", text }]);
    assert.throws(() => [...poor.pieces(5_000, 1)], /only \d+ of 5000 distinct pieces/);
  });
});

describe("seeding tenants", function () {
  this.timeout(120_000);
  const databases = new ContractDatabases(testPostgresUrl());
  const tenants = ["acme", "globex", "initech"];
  const args = (rows: number, names = tenants): SeedArgs => ({
    postgresUrl: testPostgresUrl(),
    tenants: names,
    rows,
    role: "",
    databaseOf: (tenant) => new URL(databases.adminUrl(tenant)).pathname.slice(1),
    textFolders: [],
  });
  let seeded: SeededTenant[];

  before(async () => {
    await databases.createRoles(["r1"]);
    for (const tenant of tenants) await databases.createTenant(tenant, R1);
    seeded = await seedTenants(args(1_000));
  });
  after(async () => await databases.drop());

  const bodies = async (tenant: string): Promise<BodyDigest[]> =>
    await databases.sql(
      databases.adminUrl(tenant),
      `SELECT 'prompt' AS kind, prompt_id AS id, encode(sha256(convert_to(body, 'UTF8')), 'hex') AS sha256 FROM prompt_bodies
       UNION ALL SELECT 'message', message_id, encode(sha256(convert_to(body, 'UTF8')), 'hex') FROM message_bodies`,
    );

  it("stores exactly what it reports, row by row", async () => {
    assert.equal(
      seeded.reduce((sum, tenant) => sum + tenant.prompts + tenant.messages, 0),
      1_000,
    );
    const all = await Promise.all(tenants.map(bodies));
    assert.equal(new Set(all.flat().map((row) => row.sha256)).size, 1_000);
    all.forEach((rows, index) => assert.equal(digestOf(rows), seeded[index]?.sha256));
  });

  it("indexes one prompt in ten, with chunks that search can read", async () => {
    const [row] = await databases.sql(
      databases.adminUrl("acme"),
      `SELECT count(*)::int AS chunks, count(DISTINCT prompt_id)::int AS prompts, min(vector_norm(embedding)) AS norm
       FROM chunks JOIN chunk_embeddings ON chunk_id = id`,
    );
    assert.equal(row.chunks, seeded[0]?.chunks);
    assert.equal(row.prompts, Math.ceil((seeded[0]?.prompts as number) / 10));
    assert.ok(Math.abs(row.norm - 1) < 1e-5);
  });

  it("skips a tenant that was seeded, even after its rows have changed, and reports it as before", async () => {
    await databases.sql(databases.adminUrl("acme"), "DELETE FROM prompts WHERE idempotency_key = 'seed-0'");
    assert.deepEqual(await seedTenants(args(1_000)), seeded);
    assert.equal((await bodies("acme")).length, (seeded[0]?.prompts ?? 0) + (seeded[0]?.messages ?? 0) - 1);
  });

  it("leaves nothing of a tenant behind when it is interrupted, and gives it the same text afterwards", async () => {
    await databases.createTenant("hooli", R1);
    const url = databases.adminUrl("hooli");
    const all = [...tenants, "hooli"];
    await databases.sql(url, "ALTER TABLE chunk_embeddings RENAME TO away");
    await assert.rejects(seedTenants(args(1_000, all)), /tenant hooli: the tables of R1 are not in/);
    const [{ count }] = await databases.sql(url, "SELECT count(*)::int AS count FROM prompts");
    assert.equal(count, 0);
    await databases.sql(url, "ALTER TABLE away RENAME TO chunk_embeddings");
    const again = (await seedTenants(args(1_000, all))).at(-1);
    assert.equal(digestOf(await bodies("hooli")), again?.sha256);
  });
});
