import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { nodeProvider } from "../../migrations/node-provider.ts";

describe("node provider", () => {
  it("keeps the text that every state holds of it: a change makes noise in each preview", async () => {
    const { text } = await pulumi.runtime.serializeFunction(() => nodeProvider);
    const hash = createHash("sha256").update(text).digest("hex");
    assert.equal(
      hash,
      "d8e9061b4f2e51e45c7f3847acebd90c628daea25d2865eb7696992f62b74b88",
      `the serialised provider changed; existing states hold the old text. If that is meant, say so in an ADR. It is now:\n${text}`,
    );
  });

  it("captures nothing of the program that made it", async () => {
    const { text } = await pulumi.runtime.serializeFunction(() => nodeProvider);
    assert.doesNotMatch(text, /require\(|home|node_modules|RC_/);
    for (const method of ["check", "diff", "create", "update", "read", "delete"])
      assert.match(text, new RegExp(`\\b${method}: __f\\d`));
  });
});
