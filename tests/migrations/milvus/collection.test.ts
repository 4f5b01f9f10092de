import assert from "node:assert/strict";
import { ensureCollection, findDifferences } from "../../../migrations/milvus/collection.ts";
import { MilvusError } from "../../../migrations/milvus/milvus-error.ts";
import { requireSuccess } from "../../../migrations/milvus/reply.ts";
import { MilvusSession } from "../../../migrations/milvus/session.ts";
import { TenantVectors } from "../../../migrations/milvus/vectors.ts";
import { getMilvus } from "../../servers.ts";
import { createCollection, dropCollection, newSpec, openRoot } from "./milvus-fixture.ts";

const failing = (reason: string, text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof MilvusError, String(error));
  assert.equal(error.reason, reason);
  assert.match(error.message, text);
  return true;
};

describe("a collection of Milvus", function () {
  this.timeout(120_000);
  let session: MilvusSession;
  before(async () => {
    session = await openRoot();
  });
  after(() => session.close());

  it("is made once, found again, and refused with every difference when another dimension and metric is wanted", async () => {
    const spec = newSpec();
    assert.equal(await findDifferences(session, spec), undefined);
    await ensureCollection(session, spec);
    await ensureCollection(session, spec);
    assert.deepEqual(await findDifferences(session, spec), []);
    const other = { ...spec, dimension: 16, metric: "L2" as const };
    await assert.rejects(
      ensureCollection(session, other),
      failing("mismatched", /dimension 8.*dimension 16.*COSINE.*L2/),
    );
    await dropCollection(session, spec);
  });

  it("refuses a spec with all its faults at once, before Milvus is asked", async () => {
    const spec = newSpec({ name: "9 lives", dimension: 1, index: { type: "HNSW", M: 100, efConstruction: 4 } });
    await assert.rejects(
      ensureCollection(session, spec),
      failing("refused", /name is "9 lives".*dimension is 1.*index.M is 100.*index.efConstruction is 4/),
    );
    await assert.rejects(
      ensureCollection(session, newSpec({ name: "n".repeat(256) })),
      failing("refused", /256 characters/),
    );
  });

  it("is refused with several partitions where an upsert would choose the wrong one", async () => {
    await assert.rejects(
      ensureCollection(session, newSpec({ partitions: 16 })),
      failing("refused", /2\.3\.5.*wrong ones/),
    );
  });

  it("that is missing is an error of the same kind, thrown or told", async () => {
    const missing = newSpec();
    const vectors = new TenantVectors(session, missing, "acme");
    await assert.rejects(vectors.count(), failing("missing", /./));
    await assert.rejects(vectors.upsert({ keys: ["a"], versions: [1], vectors: Buffer.alloc(32) }), MilvusError);
    await assert.rejects(vectors.delete(["a"]), MilvusError);
  });

  it("is closed to a wrong password, and a Milvus that is not there is told with its address", async () => {
    await assert.rejects(openRoot({ password: "wrong" }), failing("denied", /./));
    const nowhere = { address: "127.0.0.1:9", username: "root", password: "x", patienceMs: 200 };
    await assert.rejects(MilvusSession.open(nowhere), failing("unreachable", /127\.0\.0\.1:9/));
    await getMilvus();
  });

  it("takes a reply without a status for a failure", () => {
    for (const reply of [{}, undefined, null, "", { data: [] }, { status: null }, { status: {} }])
      assert.throws(() => requireSuccess("a question", reply), failing("no-status", /a question without a status/));
    assert.throws(
      () => requireSuccess("an upsert", { status: { error_code: "RateLimit", reason: "request is rejected" } }),
      failing("overloaded", /an upsert/),
    );
    assert.deepEqual(requireSuccess("x", { error_code: "Success", reason: "", code: 0 }).code, 0);
  });

  it("holds no values of a filter in its errors", async () => {
    const spec = await createCollection(session);
    const error = await session
      .ask("a query", (client) =>
        client.query({ collection_name: spec.name, filter: 'nothing == "secret-key"', output_fields: ["id"] }),
      )
      .then(
        () => undefined,
        (fault: unknown) => fault as Error,
      );
    assert.ok(error instanceof MilvusError);
    assert.doesNotMatch(error.message, /secret-key/);
    await dropCollection(session, spec);
  });
});
