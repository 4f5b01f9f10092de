import assert from "node:assert/strict";
import { faultsOfEnvironment } from "../../releases/environment.ts";
import { exampleEnvironment, withValue } from "./example-environment.ts";

describe("images and leaving in a stack file", () => {
  it("takes the images themselves as well as the file that holds them, each fault at its own place", () => {
    const digest = `sha256:${"a".repeat(64)}`;
    const image = { image: `registry.example/rc/platform-api@${digest}`, digest };
    assert.deepEqual(
      faultsOfEnvironment(withValue(exampleEnvironment(), ["images"], { "r1/platform-api": image })),
      [],
    );
    const faulty = {
      "r1/platform-api": { image: "registry.example/rc/platform-api:1", digest },
      "platform-api": image,
    };
    const faults = faultsOfEnvironment(withValue(exampleEnvironment(), ["images"], faulty));
    assert.deepEqual(faults.map(({ path }) => path).sort(), ["images.platform-api", "images.r1/platform-api.image"]);
  });

  it("lets leave only what is there: a part that is present, or a wave", () => {
    const faults = (leaving: unknown) => faultsOfEnvironment(withValue(exampleEnvironment(), ["leaving"], leaving));
    assert.deepEqual(faults(["vault", "canary"]), []);
    assert.match(faults(["milvus"])[0]?.allowed ?? "", /a wave of this file: vault, canary, general/);
  });
});
