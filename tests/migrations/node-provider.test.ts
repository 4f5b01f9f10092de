import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { nodeProvider } from "../../migrations/node-provider.ts";

describe("node provider", () => {
  it("keeps the text that every state holds of it: a change makes noise in each preview", async () => {
    // The name of the variable is part of the text; the SDK calls it `provider`.
    const provider = nodeProvider;
    const { text } = await pulumi.runtime.serializeFunction(() => provider, { allowSecrets: true });
    const kept = await readFile(join(import.meta.dirname, "../../migrations/node-provider.serialised.txt"), "utf8");
    assert.equal(text, kept, "the serialised provider changed; existing states hold the old text: say why in an ADR");
  });

  it("captures nothing of the program that made it", async () => {
    const { text } = await pulumi.runtime.serializeFunction(() => nodeProvider);
    assert.doesNotMatch(text, /require\(|home|node_modules|RC_/);
    for (const method of ["check", "diff", "create", "update", "read", "delete"])
      assert.match(text, new RegExp(`\\b${method}: __f\\d`));
  });
});
