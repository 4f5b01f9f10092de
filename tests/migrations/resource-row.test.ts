import assert from "node:assert/strict";
import { openWave, type WaveFixture } from "./nodes/wave-fixture.ts";
import { r1, r2 } from "./onboarding-fixture.ts";
import { ProviderClient } from "./provider-client.ts";
import { StubEngine } from "./stub-engine.ts";

const tenant = "row-acme";
const urn = (kind: string) =>
  `urn:pulumi:onb::release-coordinator::release-coordinator:components:Wave$pulumi-nodejs:dynamic/migrations:${kind}::general-${kind}`;

describe("the resource's own row, over gRPC", function () {
  this.timeout(120_000);
  let engine: StubEngine;
  let wave: WaveFixture;
  let provider: ProviderClient;

  before(async () => {
    engine = await StubEngine.start();
    wave = await openWave();
    await wave.seed([tenant]);
    provider = await ProviderClient.start(engine.address);
  });
  after(async () => {
    provider.stop();
    engine.stop();
    await wave.close();
  });

  const run = async (kind: "prepare" | "cutover", release: typeof r1 | typeof r2, at: string, by = provider) => {
    const setProperties = { ...wave.inputs(release, { kind, concurrency: 1 }), __urn: at };
    const reply = await by.call("create", "CreateRequest", { setProperties });
    return reply["properties"] as Record<string, unknown>;
  };

  it("shows nothing for what is no URN, and does its work", async () => {
    assert.equal((await run("cutover", r1, "somewhere")).status, "done");
    assert.deepEqual(engine.lines, []);
  });

  it("shows what prepare has copied, where the next line replaces it, and keeps nothing of it in the state", async () => {
    const outputs = await run("prepare", r2, urn("Prepare"));
    assert.equal(outputs.status, "done");
    assert.ok(!("__urn" in outputs));
    const lines = await engine.linesOf(urn("Prepare"));
    assert.match(lines[0]?.message ?? "", /^row-acme: 20( of about \d+)? rows copied; 0 of 1 tenants ended$/);
    for (const line of lines) {
      assert.deepEqual([line.streamid, line.ephemeral], [1, true]);
      assert.doesNotMatch(line.message, /body of/);
    }
  });

  it("shows each tenant that the cutover has moved", async () => {
    assert.equal((await run("cutover", r2, urn("Cutover"))).status, "done");
    assert.deepEqual(
      (await engine.linesOf(urn("Cutover"))).map(({ message }) => message),
      ["row-acme: done; 1 of 1 tenants ended"],
    );
  });

  it("does its work all the same when no engine answers", async () => {
    const alone = await ProviderClient.start();
    try {
      assert.equal((await run("prepare", r1, urn("Prepare"), alone)).status, "done");
      assert.equal((await run("cutover", r1, urn("Cutover"), alone)).status, "done");
    } finally {
      alone.stop();
    }
  });
});
