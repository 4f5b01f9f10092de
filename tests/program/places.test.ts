import assert from "node:assert/strict";
import * as pulumi from "@pulumi/pulumi";
import { forgetPlaces } from "../../components/places.ts";

describe("places in the program", () => {
  const kept: unknown = Reflect.get(pulumi.Resource, "stackTrace");
  const mapped: unknown = Reflect.get(Error, "prepareStackTrace");
  afterEach(() => {
    Reflect.set(pulumi.Resource, "stackTrace", kept);
    if (mapped !== undefined) Reflect.set(Error, "prepareStackTrace", mapped);
  });

  it("are asked for by the SDK in the way that is taken from it, and are forgotten", () => {
    const asked = () => (Reflect.get(pulumi.Resource, "stackTrace") as (skip: number) => unknown[])(0);
    assert.ok(asked().length > 0);
    forgetPlaces();
    assert.deepEqual(asked(), []);
    assert.match(String(new Error("thrown here").stack), /places\.test\.ts:\d+:\d+/);
  });
});
