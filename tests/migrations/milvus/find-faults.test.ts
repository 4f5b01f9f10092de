import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { findMilvusFaults } from "../../../migrations/milvus/find-faults.ts";
import type { MilvusSession } from "../../../migrations/milvus/session.ts";
import { milvusRefusals } from "../../../migrations/nodes/milvus-refusals.ts";
import { vectorStore } from "../../../migrations/vector-store.ts";
import { MilvusProxy } from "../../drills/vectors/milvus-proxy.ts";
import { getMilvus } from "../../servers.ts";
import { onMilvus, onPgvector } from "../vector-store/vector-fixture.ts";
import { createCollection, dropCollection, newSpec, openRoot } from "./milvus-fixture.ts";

describe("the faults of a Milvus that a preview finds", function () {
  this.timeout(120_000);
  let session: MilvusSession;
  let access: { address: string; username: string; password: string };
  before(async () => {
    session = await openRoot();
    const { address, password } = await getMilvus();
    access = { address, username: "root", password };
  });
  after(() => session.close());

  it("are none of a server with passwords, a user that may make users, and no collection or the right one", async () => {
    assert.deepEqual(await findMilvusFaults(access, newSpec()), []);
    const spec = await createCollection(session);
    assert.deepEqual(await findMilvusFaults(access, spec), []);
    await dropCollection(session, spec);
  });

  it("are every difference of a collection that has the name already, in one line", async () => {
    const spec = await createCollection(session);
    const faults = await findMilvusFaults(access, { ...spec, dimension: 16, metric: "L2" });
    assert.equal(faults.length, 1);
    assert.match(faults[0] ?? "", /dimension 8, the release wants .*dimension 16.*metric is COSINE, .*L2; choose/);
    await dropCollection(session, spec);
  });

  it("are all faults of a spec, with what the server says besides", async () => {
    const spec = newSpec({ name: "9".repeat(256), dimension: 1 });
    const faults = await findMilvusFaults({ ...access, password: "wrong" }, spec);
    assert.equal(faults.length, 4);
    assert.match(faults.join("\n"), /256 characters[^]*not a digit first[^]*dimension is 1[^]*denied/);
    assert.doesNotMatch(faults.join("\n"), /wrong/);
  });

  it("are several partitions on a server whose upsert chooses the wrong one", async () => {
    const faults = await findMilvusFaults(access, newSpec({ partitions: 16 }));
    assert.match(faults.join("\n"), /16 partitions.*2\.3\.5/);
  });

  it("are passwords that nobody asks for", async () => {
    await using proxy = await MilvusProxy.start(access.address);
    proxy.letEverybodyIn(access.username, access.password);
    const faults = await findMilvusFaults({ ...access, address: proxy.address }, newSpec());
    assert.equal(faults.length, 1);
    assert.match(faults[0] ?? "", /takes any password.*authorizationEnabled: true/);
  });

  it("are a user that may do nothing, and a server that is not there", async () => {
    const username = `t_${randomUUID().slice(0, 8)}`.replaceAll("-", "_");
    await session.ask("a user", (client) => client.createUser({ username, password: "no-rights-at-all" }));
    const powerless = await findMilvusFaults({ ...access, username, password: "no-rights-at-all" }, newSpec());
    assert.match(powerless.join("\n"), /permission deny.*denied/);
    await session.ask("no user", (client) => client.deleteUser({ username }));
    const nowhere = await findMilvusFaults({ ...access, address: "127.0.0.1:9" }, newSpec());
    assert.match(nowhere.join("\n"), /127\.0\.0\.1:9.*unreachable/);
  });

  it("are refusals of a wave, region by region, and none where no vectors are moved", async () => {
    const region = { name: "eu", postgresUrl: "env:NOBODY" };
    const whole = {
      ...region,
      name: "us",
      milvusAddress: "env:FAULTS_MILVUS",
      milvusUser: "env:FAULTS_USER",
      milvusPassword: "env:FAULTS_PASSWORD",
    };
    process.env["FAULTS_MILVUS"] = access.address;
    process.env["FAULTS_USER"] = access.username;
    process.env["FAULTS_PASSWORD"] = access.password;
    const spec = await createCollection(session, { dimension: 16 });
    const definition = { ...vectorStore, collection: { ...spec, dimension: 8 } };
    const inputs = { regions: [region, whole], release: onMilvus };
    const refusals = await milvusRefusals(inputs, [definition]);
    assert.deepEqual(
      refusals.map(({ property }) => property),
      ["regions", "regions"],
    );
    assert.match(refusals[0]?.reason ?? "", /^region eu has no Milvus, and r2@.*present\.milvus: true/);
    assert.match(refusals[1]?.reason ?? "", /^region us: collection .*dimension 16.*dimension 8/);
    await dropCollection(session, spec);
    assert.deepEqual(await milvusRefusals({ regions: [region], release: onPgvector }), []);
  });
});
