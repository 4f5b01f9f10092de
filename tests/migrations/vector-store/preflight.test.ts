import assert from "node:assert/strict";
import { prepareTenant } from "../../../migrations/mirror/engine.ts";
import { findObstacles, obstacleText } from "../../../migrations/mirror/preflight.ts";
import { connect } from "../../../migrations/postgres/connect.ts";
import { getPostgresUrl } from "../../servers.ts";
import {
  createVectorTenant,
  dimension,
  makeCollection,
  newIds,
  onMilvus,
  sourceTable,
  type VectorTenant,
  writeSource,
} from "./vector-fixture.ts";

describe("the preflight of vectors", function () {
  this.timeout(120_000);

  async function withTenant(
    options: Parameters<typeof createVectorTenant>[0],
    work: (tenant: VectorTenant) => Promise<void>,
  ): Promise<void> {
    const tenant = await createVectorTenant(options);
    try {
      await work(tenant);
    } finally {
      await tenant.close();
    }
  }

  /** As a preview looks: with the reader's role, in a session that can write nothing. */
  async function look(tenant: VectorTenant): Promise<string[]> {
    const { database } = tenant;
    const reader = await connect({
      url: getPostgresUrl(),
      database,
      role: "rc_reader",
      applicationName: "rc-test",
      isReadOnly: true,
    });
    try {
      const roles = ["platform_r1", "platform_r2"];
      return (await findObstacles(reader, tenant.tenant, tenant.definition, roles)).map(obstacleText);
    } finally {
      await reader.end();
    }
  }

  const insert = async (tenant: VectorTenant, vector: string): Promise<string> => {
    const [id] = newIds(1) as [string];
    await tenant.admin.query("INSERT INTO public.chunks (id) VALUES ($1)", [id]);
    await tenant.admin.query(`INSERT INTO public.chunk_embeddings VALUES ($1, '${vector}')`, [id]);
    return id;
  };

  it("has nothing against vectors as the platform has them; NaN and infinity never come in", () =>
    withTenant({}, async (tenant) => {
      await writeSource(tenant.admin, new Map(), newIds(5));
      assert.deepEqual(await look(tenant), []);
      await assert.rejects(insert(tenant, "[NaN,1,1,1,1,1,1,1]"), /NaN not allowed in vector/);
      await assert.rejects(insert(tenant, "[Infinity,1,1,1,1,1,1,1]"), /infinite value not allowed in vector/);
      const result = await prepareTenant(tenant.job(onMilvus));
      assert.deepEqual([result.status, result.reason], ["done", undefined]);
    }));

  it("names vectors of another dimension and of length zero by tenant, table, count and key, all at once", () =>
    withTenant({ source: sourceTable("vector") }, async (tenant) => {
      await writeSource(tenant.admin, new Map(), newIds(5));
      const short = await insert(tenant, "[1,2,3,4]");
      const zero = await insert(tenant, `[${new Array(dimension).fill(0).join(",")}]`);
      const found = await look(tenant);
      assert.equal(found.length, 2);
      const where = `tenant ${tenant.tenant}, chunk_embeddings: 1 vectors have`;
      assert.match(
        found[0] ?? "",
        new RegExp(`^${where} another dimension than the ${dimension}.*chunk_id ${short}; `),
      );
      assert.match(found[1] ?? "", new RegExp(`^${where} length zero.*chunk_id ${zero}; `));
      const refused = await prepareTenant(tenant.job(onMilvus));
      assert.equal(refused.status, "failed");
      assert.match(refused.reason ?? "", new RegExp(`${short}[^]*${zero}`));
    }));

  it("lets a vector of length zero pass where lengths are compared", () =>
    withTenant({ spec: { metric: "L2" } }, async (tenant) => {
      await insert(tenant, `[${new Array(dimension).fill(0).join(",")}]`);
      assert.deepEqual(await look(tenant), []);
    }));

  const refusals: readonly [title: string, source: string, reason: RegExp][] = [
    ["halfvec", sourceTable(`halfvec(${dimension})`), /embedding is public\.halfvec; let it be vector\(8\)/],
    ["sparsevec", sourceTable(`sparsevec(${dimension})`), /embedding is public\.sparsevec; let it be vector\(8\)/],
    ["vectors that may be NULL", sourceTable().replace(" NOT NULL", ""), /embedding may be NULL; fill or delete/],
    ["keys that may be there twice", sourceTable().replace(" PRIMARY KEY", ""), /has no primary key/],
    [
      "a vector inline in a wide table",
      sourceTable().replace("NOT NULL", "NOT NULL, note text"),
      /holds embedding inline, beside note/,
    ],
  ];
  for (const [title, source, reason] of refusals) {
    it(`refuses ${title}`, () =>
      withTenant({ source }, async (tenant) => {
        const found = await look(tenant);
        assert.match(found.join("\n"), new RegExp(`^tenant ${tenant.tenant}, chunk_embeddings: `));
        assert.match(found.join("\n"), reason);
        assert.equal((await prepareTenant(tenant.job(onMilvus))).status, "failed");
      }));
  }

  it("refuses a collection that has another dimension and metric, before anything is captured", () =>
    withTenant({}, async (tenant) => {
      await writeSource(tenant.admin, new Map(), newIds(3));
      await makeCollection({ ...tenant, spec: { ...tenant.spec, dimension: 16, metric: "L2" } });
      const refused = await prepareTenant(tenant.job(onMilvus));
      assert.equal(refused.status, "failed");
      assert.match(refused.reason ?? "", /dimension 16.*dimension 8.*metric is L2.*COSINE/);
      const found = await tenant.admin.query("SELECT FROM pg_trigger WHERE tgname = 'zz_rc_capture'");
      assert.deepEqual([refused.positions["vector-store"], found.rowCount], ["off", 0]);
    }));

  it("names the region when it has no Milvus", () =>
    withTenant({}, async (tenant) => {
      const { name, postgresUrl, vaultAddress = "", vaultToken = "" } = tenant.job(onMilvus).region;
      const job = { ...tenant.job(onMilvus), region: { name, postgresUrl, vaultAddress, vaultToken } };
      const refused = await prepareTenant(job);
      assert.match(refused.reason ?? "", /vector-store needs Milvus, region local has none/);
    }));
});
