import assert from "node:assert/strict";
import type { EngineEvent } from "@pulumi/pulumi/automation/index.js";
import { changesOutside, StackEvents } from "../../coordinator/stack-events.ts";
import { refusalsIn } from "../../coordinator/stack-move.ts";

function step(types: string, name: string, op: string, more: object = {}): EngineEvent {
  const metadata = {
    op,
    urn: `urn:pulumi:dev::release-coordinator::${types}::${name}`,
    type: types,
    provider: "",
    ...more,
  };
  return { sequence: 0, timestamp: 0, resourcePreEvent: { metadata } } as unknown as EngineEvent;
}

const components = "release-coordinator:components:";

function preview(...events: EngineEvent[]): StackEvents {
  const taken = new StackEvents("preview", () => undefined);
  events.forEach(taken.take);
  return taken;
}

describe("what a preview tells", () => {
  it("is the resources that change, with their place in the graph and without Pulumi's own properties", () => {
    const { changes } = preview(
      step(
        `${components}Platform$${components}Fleet$docker:index/container:Container`,
        "r1-local-platform-api",
        "update",
        {
          detailedDiff: { image: {}, __provider: {} },
        },
      ),
      step(`${components}Platform$${components}Wave$pulumi-nodejs:migrations:Cutover`, "canary-cutover", "same"),
    );
    assert.deepEqual(
      changes.map(({ type, name, op, diffs, path }) => ({ type, name, op, diffs, path })),
      [
        {
          type: "Container",
          name: "r1-local-platform-api",
          op: "update",
          diffs: ["image"],
          path: ["Platform", "Fleet", "Container"],
        },
      ],
    );
  });

  it("names what a rollback may not touch", () => {
    const { changes } = preview(
      step("pulumi:pulumi:Stack", "release-coordinator-dev", "update"),
      step("pulumi:providers:docker", "default_5_2_0", "update"),
      step("pulumi:providers:docker", "local-docker", "update"),
      step(`${components}Platform$${components}Fleet$docker:index/container:Container`, "api", "create"),
      step(`${components}Platform$${components}Secrets$vault:index/mount:Mount`, "local-transit", "delete"),
      step(`${components}Platform$pulumi-nodejs:migrations:Flags`, "dev-off", "update"),
    );
    const strays = changesOutside(changes, ["Fleet", "Wave", "Flags"]);
    assert.deepEqual(
      strays.map(({ name }) => name),
      ["local-docker", "local-transit"],
    );
  });

  it("keeps the reasons of checks apart from faults", () => {
    const text =
      "pulumi-nodejs:migrations:Prepare resource 'canary-prepare' has a problem: dev is held since 03:12\nerror: x";
    assert.deepEqual(refusalsIn(`${text}\n${text}`), ["dev is held since 03:12"]);
    assert.deepEqual(refusalsIn("the disk is full"), []);
  });
});
