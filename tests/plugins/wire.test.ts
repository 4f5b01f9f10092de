import assert from "node:assert/strict";
import fc from "fast-check";
import struct from "google-protobuf/google/protobuf/struct_pb.js";
import { unknown } from "../../local/plugins/property.ts";
import type { Value, Values } from "../../local/plugins/property.ts";
import { receive, send } from "../../local/plugins/wire.ts";

const name = fc.stringMatching(/^[a-z][A-Za-z]{0,8}$/);
const { tree } = fc.letrec<{ tree: Value }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    fc.string(),
    fc.boolean(),
    fc.integer(),
    fc.constant(unknown),
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(name, tie("tree"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));
const values = fc.dictionary(name, tree, { maxKeys: 5, noNullPrototype: true }) as fc.Arbitrary<Values>;

describe("properties on the wire", () => {
  it("arrive as they were sent, unknown ones included", () => {
    fc.assert(fc.property(values, (sent) => assert.deepEqual(receive(send(sent)).values, sent)));
  });

  it("arrive in clear when they are secret, and go back as secrets", () => {
    fc.assert(
      fc.property(values, (sent) => {
        const asSecrets = receive(send(sent, Object.keys(sent)));
        assert.deepEqual(asSecrets.values, sent);
        const back = send(sent, [], [asSecrets]);
        assert.deepEqual(back.toJavaScript(), send(sent, Object.keys(sent)).toJavaScript());
      }),
    );
  });

  it("go back as secrets even when the server reordered or changed them", () => {
    const inputs = receive(marked({ envs: ["A=1", secret("B=2")], map: { clear: "1", hidden: secret("2") } }));
    assert.deepEqual(send({ envs: ["A=1", "B=2"] }, [], [inputs]).toJavaScript(), { envs: ["A=1", secret("B=2")] });
    assert.deepEqual(send({ envs: ["B=2", "A=1"] }, [], [inputs]).toJavaScript(), { envs: secret(["B=2", "A=1"]) });
    assert.deepEqual(send({ envs: ["B=2"] }, [], [inputs]).toJavaScript(), { envs: secret(["B=2"]) });
    const map = { clear: "1", hidden: secret("3") };
    assert.deepEqual(send({ map: { clear: "1", hidden: "3" } }, [], [inputs]).toJavaScript(), { map });
  });

  it("leave out what the engine and the official plugins keep for themselves", () => {
    assert.deepEqual(receive(marked({ __defaults: ["a"], a: { __defaults: [], b: "1" } })).values, { a: { b: "1" } });
  });
});

function secret(value: unknown): unknown {
  return { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", value };
}

function marked(javaScript: unknown): struct.Struct {
  return struct.Struct.fromJavaScript(javaScript as Parameters<typeof struct.Struct.fromJavaScript>[0]);
}
