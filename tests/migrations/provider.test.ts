import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProviderClient } from "./provider-client.ts";

const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const DIFF = { unknown: 0, none: 1, some: 2 };

describe("migration provider, over gRPC", () => {
  let folder: string;
  let provider: ProviderClient;
  let inputs: Record<string, unknown>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "provider-"));
    process.env["RC_TEST_FLAGS_FILE"] = join(folder, "flags.json");
    provider = await ProviderClient.start();
    inputs = { kind: "flags", file: "env:RC_TEST_FLAGS_FILE", value: true, flags: ["archive"], phase: "on" };
  });

  after(async () => {
    provider.stop();
    delete process.env["RC_TEST_FLAGS_FILE"];
    await rm(folder, { recursive: true });
  });

  async function created(): Promise<Record<string, unknown>> {
    const reply = await provider.call("create", "CreateRequest", { setProperties: inputs });
    return reply["properties"] as Record<string, unknown>;
  }

  async function diff(olds: object, news: object): Promise<unknown> {
    const reply = await provider.call("diff", "DiffRequest", { setId: "flags:on", setOlds: olds, setNews: news });
    assert.deepEqual(reply["replacesList"], [], "a migration is never replaced");
    return reply["changes"];
  }

  it("creates, and returns its inputs, its outcome and its provider as plain JSON", async () => {
    const reply = await provider.call("create", "CreateRequest", { setProperties: inputs });
    assert.equal(reply["id"], "flags:on");
    const { __provider, ...properties } = reply["properties"] as Record<string, unknown>;
    assert.equal(typeof __provider, "string");
    assert.deepEqual(properties, { ...inputs, status: "done", summary: "archive: on", epoch: "on:archive" });
    assert.deepEqual(JSON.parse(await readFile(join(folder, "flags.json"), "utf8")), { archive: true });
  });

  it("sees no change when nothing changed", async () => {
    assert.equal(await diff(await created(), inputs), DIFF.none);
  });

  it("sees no change where the node has only learnt its own URN", async () => {
    assert.equal(await diff(await created(), { ...inputs, __urn: "urn:pulumi:dev::p::t::n" }), DIFF.none);
  });

  it("leaves a change of inputs to the engine, which prints it", async () => {
    assert.equal(await diff(await created(), { ...inputs, flags: ["archive", "search"] }), DIFF.unknown);
  });

  it("sees drift of the world behind unchanged inputs", async () => {
    const olds = await created();
    await writeFile(join(folder, "flags.json"), JSON.stringify({ archive: false }));
    assert.equal(await diff(olds, inputs), DIFF.some);
  });

  it("goes on with what an earlier run left partial", async () => {
    assert.equal(await diff({ ...(await created()), status: "partial" }, inputs), DIFF.some);
  });

  it("keeps everything on refresh", async () => {
    const olds = await created();
    const reply = await provider.call("read", "ReadRequest", { setId: "flags:on", setProperties: olds });
    assert.equal(reply["id"], "flags:on");
    assert.deepEqual(reply["properties"], olds);
  });

  it("touches no data on delete", async () => {
    const olds = await created();
    await provider.call("delete", "DeleteRequest", { setId: "flags:on", setProperties: olds });
    assert.deepEqual(JSON.parse(await readFile(join(folder, "flags.json"), "utf8")), { archive: true });
  });

  it("checks inputs that are not known yet without asking anybody", async () => {
    const reply = await provider.call("check", "CheckRequest", {
      setOlds: {},
      setNews: { ...inputs, file: UNKNOWN, kind: "prepare" },
    });
    assert.deepEqual(reply["failuresList"], []);
  });

  it("names the kinds it knows when a newer program left another", async () => {
    await assert.rejects(
      provider.call("create", "CreateRequest", { setProperties: { ...inputs, kind: "teleport" } }),
      /kind "teleport": allowed are guard, tenants, smoke, traffic, flags, prepare, cutover, finalize/,
    );
  });
});
