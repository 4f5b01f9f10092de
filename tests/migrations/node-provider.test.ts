import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import type * as pulumi from "@pulumi/pulumi";
import { providerText } from "../../migrations/node-provider.ts";

const require = createRequire(createRequire(import.meta.url).resolve("@pulumi/pulumi"));

describe("node provider", () => {
  it("keeps the text that every state holds of it: a change makes noise in each preview", () => {
    const hash = createHash("sha256").update(providerText).digest("hex").slice(0, 12);
    assert.equal(
      hash,
      "4341d7882c7c",
      "the provider's text changed; existing states hold the old one: say why in an ADR",
    );
  });

  it("captures nothing of the program that made it", () => {
    assert.doesNotMatch(providerText, /require\(|home|node_modules|RC_/);
  });

  it("is loaded by Pulumi's own loader, and each method reaches the code of the program's folder", async () => {
    const load = require("require-from-string") as (text: string) => { handler(): pulumi.dynamic.ResourceProvider };
    const provider = load(providerText).handler();
    assert.deepEqual(Object.keys(provider), ["check", "diff", "create", "update", "read", "delete"]);
    const inputs = { kind: "nonsense" };
    const refusal = /migration node of kind "nonsense": allowed are guard, /;
    await assert.rejects(async () => provider.check?.({}, inputs), refusal);
    await assert.rejects(async () => provider.diff?.("id", inputs, inputs), refusal);
    await assert.rejects(async () => provider.create?.(inputs), refusal);
    await assert.rejects(async () => provider.update?.("id", {}, inputs), refusal);
    assert.deepEqual(await provider.read?.("id", inputs), { id: "id", props: inputs });
    assert.equal(await provider.delete?.("id", inputs), undefined);
  });
});
