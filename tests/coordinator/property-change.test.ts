import assert from "node:assert/strict";
import type { StepEventMetadata } from "@pulumi/pulumi/automation/index.js";
import fc from "fast-check";
import { propertyChanges, segmentsOf } from "../../coordinator/property-change.ts";

function step(old: object, news: object, paths: Record<string, string>, keys: string[] = []): StepEventMetadata {
  const detailedDiff = Object.fromEntries(
    Object.entries(paths).map(([path, diffKind]) => [path, { diffKind, inputDiff: true }]),
  );
  return {
    op: "update",
    urn: "u",
    type: "t",
    provider: "",
    old: { inputs: old },
    new: { inputs: news },
    keys,
    detailedDiff,
  } as unknown as StepEventMetadata;
}
const secret = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", ciphertext: "v1:abc" };

describe("the properties that a step changes", () => {
  it("are shown before and after, in the order of their paths, without Pulumi's own", () => {
    const found = propertyChanges(
      step(
        { envs: ["A=1", "B=2"], __provider: "old", labels: { "a.b": "x", __id: "1" }, gone: true },
        { envs: ["A=1", "B=3"], __provider: "new", labels: { "a.b": "y", __id: "2" } },
        {
          "envs[1]": "update",
          __provider: "update",
          'labels["a.b"]': "update",
          "labels.__id": "update",
          gone: "delete",
        },
      ),
    );
    assert.deepEqual(
      found.map(({ path, from, to }) => [path, from, to]),
      [
        ["envs[1]", '"B=2"', '"B=3"'],
        ["gone", "true", undefined],
        ['labels["a.b"]', '"x"', '"y"'],
      ],
    );
  });

  it("never show a secret: neither one that is marked, nor one under a telling name, nor one in an address", () => {
    const found = propertyChanges(
      step(
        {
          plain: { inner: secret, token: "hunter2" },
          password: "hunter2",
          url: "postgresql://ana:hunter2@db/x",
          marked: "[secret]",
        },
        {
          plain: { inner: "[secret]", token: "hunter3" },
          password: "hunter3",
          url: "postgresql://ana:hunter3@db/x",
          marked: secret,
        },
        { plain: "update", password: "update", url: "update", marked: "update" },
      ),
    );
    assert.doesNotMatch(JSON.stringify(found), /hunter|v1:abc|4dabf/);
    assert.ok(found.every(({ isSecret }) => isSecret));
    assert.equal(found.find(({ path }) => path === "url")?.from, '"postgresql://[secret]@db/x"');
  });

  it("say what forces a replacement and what only the update will know", () => {
    const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
    const [image, name] = propertyChanges(
      step({ image: "a", name: "b" }, { image: unknown, name: "c" }, { image: "update", name: "update-replace" }),
    );
    assert.equal(image?.to, '"[known after the update]"');
    assert.deepEqual([image?.forcesReplacement, name?.forcesReplacement], [false, true]);
    const [byKey] = propertyChanges(step({ image: "a" }, { image: "b" }, { image: "update" }, ["image"]));
    assert.equal(byKey?.forcesReplacement, true);
  });

  it("are cut when they are long", () => {
    const [found] = propertyChanges(step({}, { body: "x".repeat(5_000) }, { body: "add" }));
    assert.equal(found?.to?.length, 200);
    assert.equal(found?.from, undefined);
  });

  it("have paths that are taken apart as Pulumi builds them", () => {
    const name = fc.oneof(fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/), fc.string({ minLength: 1, maxLength: 8 }));
    fc.assert(
      fc.property(fc.array(fc.oneof(name, fc.nat(99)), { minLength: 1, maxLength: 5 }), (parts) => {
        const path = parts
          .map((part, index) => {
            if (typeof part === "number") return `[${part}]`;
            if (/^[A-Za-z_]\w*$/.test(part)) return index === 0 ? part : `.${part}`;
            return `["${part.replaceAll(/["\\]/g, "\\$&")}"]`;
          })
          .join("");
        assert.deepEqual(segmentsOf(path), parts.map(String));
      }),
    );
  });
});
