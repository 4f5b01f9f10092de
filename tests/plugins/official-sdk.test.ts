import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryFolder } from "../../local/folders.ts";
import { plugin as docker } from "../../local/plugins/docker/plugin.ts";
import { plugin as postgresql } from "../../local/plugins/postgresql/plugin.ts";
import type { Properties } from "../../local/plugins/property.ts";
import { plugin as random } from "../../local/plugins/random/plugin.ts";
import { plugin as vault } from "../../local/plugins/vault/plugin.ts";
import { readPage } from "../docs/markdown.ts";
import { faultsOfState, readSdkType } from "./official-sdk.ts";
import type { SdkProperty, SdkType } from "./official-sdk.ts";

interface StandIn {
  readonly token: string;
  readonly properties: Properties;
  readonly isAlwaysReplaced: boolean;
}
const standIns: StandIn[] = [docker, postgresql, vault, random].flatMap(({ resources }) =>
  resources.map((type) => ({
    token: type.token,
    properties: type.properties,
    isAlwaysReplaced: type.update === undefined,
  })),
);

/** Everything in which a stand-in's declaration is not the SDK's. */
function faultsOf({ token, properties }: StandIn, sdk: SdkType): string[] {
  const found: string[] = [];
  for (const [name, { isOptional }] of sdk.outputs)
    if (!isOptional && !(name in properties)) found.push(`${token}: the stand-in has no ${name}`);
  for (const [name, property] of Object.entries(properties)) {
    const [input, output] = [sdk.inputs.get(name), sdk.outputs.get(name)];
    if (output === undefined) {
      found.push(`${token}: the SDK has no output ${name}`);
      continue;
    }
    if (!property.isOutput && input === undefined) found.push(`${token}: ${name} is no input of the SDK`);
    if (!property.isOutput && input !== undefined && input.isOptional === (property.isRequired === true))
      found.push(`${token}: ${name} is ${input.isOptional ? "optional" : "required"} in the SDK`);
    if (output.kind !== property.kind)
      found.push(`${token}: ${name} is ${output.kind} in the SDK, ${property.kind} here`);
    if (sdk.secretOutputs.includes(name) !== (property.isSecret === true))
      found.push(`${token}: ${name} is ${property.isSecret ? "no secret" : "a secret"} in the SDK`);
    found.push(...fieldFaults(`${token}: ${name}`, property.fields, output));
  }
  return found;
}

function fieldFaults(path: string, fields: Properties | undefined, { fields: official }: SdkProperty): string[] {
  return Object.keys(fields ?? {})
    .filter((field) => official?.includes(field) !== true)
    .map((field) => `${path}.${field} is not in the SDK`);
}

describe("the stand-ins and the official SDKs", function () {
  this.timeout(240_000);

  it("serve every type that the program makes", () => {
    const args = [
      "grep",
      "-hoE",
      'from "@pulumi/(docker|postgresql|vault|random)/[A-Za-z/]+\\.js"',
      "--",
      "components",
      "index.ts",
    ];
    const imports = execFileSync("git", args, { cwd: repositoryFolder, encoding: "utf8" }).trim().split("\n");
    const used = [...new Set(imports.map((line) => line.replace(/^from "@pulumi\//, "").replace(/\.js"$/, "")))].filter(
      (path) => !path.endsWith("/provider"),
    );
    const served = standIns.map(
      ({ token }) => token.replace(":index/", "/").replace(":appRole/", "/approle/").split(":")[0] ?? "",
    );
    assert.ok(used.length >= 10, "the program makes many of them");
    assert.deepEqual(
      used.filter((path) => !served.includes(path)),
      [],
    );
  });

  for (const standIn of standIns)
    it(`agree on names, kinds, what is required and what is secret: ${standIn.token}`, () => {
      const sdk = readSdkType(standIn.token);
      assert.ok(sdk.inputs.size > 1 && sdk.outputs.size > 1);
      assert.deepEqual(faultsOf(standIn, sdk), []);
    });

  it("would notice a name, a kind, a requirement and a secret that are not the SDK's, and what is missing", () => {
    const token = "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId";
    const properties: Properties = {
      backend: { kind: "number", isRequired: true },
      roleName: { kind: "string", isSecret: true },
      nickname: { kind: "string" },
      accessor: { kind: "string" },
      wrappingAccessor: { kind: "string", isOutput: true },
      wrappingToken: { kind: "string", isOutput: true },
    };
    assert.deepEqual(
      faultsOf({ token, properties, isAlwaysReplaced: true }, readSdkType(token)).map((fault) =>
        fault.slice(token.length + 2),
      ),
      [
        "the stand-in has no secretId",
        "backend is optional in the SDK",
        "backend is string in the SDK, number here",
        "roleName is required in the SDK",
        "roleName is no secret in the SDK",
        "the SDK has no output nickname",
        "accessor is no input of the SDK",
        "wrappingToken is a secret in the SDK",
      ],
    );
    const outputs = { path: 1, type: "kv", colour: "red", options: {}, accessor: "a" };
    const faults = faultsOfState({ urn: "", id: "", type: "vault:index/mount:Mount", inputs: {}, outputs }).join();
    assert.match(faults, /forceNoCache is missing.*path is not of kind string.*the SDK has no colour/);
    const bare = {
      urn: "",
      id: "",
      type: "random:index/randomPassword:RandomPassword",
      inputs: {},
      outputs: { result: "x" },
    };
    assert.match(faultsOfState(bare).join(), /result is no secret/);
  });

  it("agree on what is replaced, as the table in the documentation has it from the providers", () => {
    const rows = [...readPage("docs/stand-ins.md").text.matchAll(/^\| `([a-z]+:[^`]+)` +\| (.*?) +\| \[\d\] +\|$/gm)];
    const table = Object.fromEntries(
      rows.map(([, token = "", cell = ""]) => [token, [...cell.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name)]),
    );
    const declared = Object.fromEntries(
      standIns.map(({ token, properties, isAlwaysReplaced }) => [
        token,
        Object.keys(properties)
          .filter((name) => !properties[name]?.isOutput && (isAlwaysReplaced || properties[name]?.isReplacing === true))
          .sort(),
      ]),
    );
    assert.deepEqual(declared, table);
  });

  it("refuse to plan an update of a container that would do nothing, and name the mend", async () => {
    const [container] = docker.resources;
    const check = (retries: number) => ({ name: "api", healthcheck: { tests: ["CMD", "/x"], retries } });
    const call = { urn: "", signal: AbortSignal.timeout(1000) };
    await assert.rejects(
      container?.update?.(undefined as never, "id", check(1), check(2), call) ?? Promise.resolve(),
      /container "api": healthcheck cannot change while it exists; mend: replaceOnChanges: \["healthcheck"\]/,
    );
  });

  it("ask for the versions of the SDKs, so that an official plugin is found under the same name", () => {
    for (const name of ["docker", "postgresql", "vault", "random"]) {
      const folder = join(repositoryFolder, "node_modules/@pulumi", name);
      const own = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
        version: string;
        pulumi?: { version?: string; name?: string };
      };
      assert.equal(own.pulumi?.name, name);
      assert.ok([undefined, own.version].includes(own.pulumi?.version), `${name} asks for its own version`);
    }
  });
});
