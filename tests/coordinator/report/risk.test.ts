import assert from "node:assert/strict";
import { countChanges, findRisks, mergedChanges } from "../../../coordinator/report/risk.ts";
import type { ResourceChange } from "../../../coordinator/stack-events.ts";
import { promotion } from "./example-reports.ts";

function change(
  op: string,
  path: readonly string[],
  name: string,
  properties: ResourceChange["properties"] = [],
): ResourceChange {
  const type = path.at(-1) ?? "";
  return {
    urn: `urn:pulumi:dev::p::${path.join("$")}::${name}`,
    name,
    type,
    path,
    op,
    diffs: properties.map((p) => p.path),
    properties,
  };
}
const forced = { path: "name", from: '"a"', to: '"b"', forcesReplacement: true, isSecret: false };

describe("the risk of an update", () => {
  it("counts a replacement once, and the stack's own row not at all", () => {
    const database = ["Platform", "Database", "Role"];
    const merged = mergedChanges([
      change("create-replacement", database, "rc_keeper", [forced]),
      change("replace", database, "rc_keeper", [forced]),
      change("delete-replaced", database, "rc_keeper"),
      change("create", ["Platform", "Fleet", "Container"], "r2-api"),
      change("delete", ["Platform", "Fleet", "Container"], "r1-api"),
      change("update", ["Platform", "Wave", "Cutover"], "canary-cutover"),
      { ...change("update", ["Stack"], "stack"), urn: "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev" },
    ]);
    assert.deepEqual(countChanges(merged), { create: 1, update: 1, replace: 1, delete: 1 });
  });

  it("names what holds data or keys and would be replaced or deleted, and why", () => {
    const risks = findRisks(
      mergedChanges([
        change("replace", ["Platform", "Database", "Role"], "rc_keeper", [forced]),
        change("delete", ["Platform", "Secrets", "Mount"], "transit"),
        change("delete", ["Platform", "Fleet", "Container"], "r1-api"),
        change("replace", ["Platform", "Fleet", "PersistentVolumeClaim"], "cache"),
      ]),
      [],
    ).filter(({ kind }) => kind === "stateful");
    assert.deepEqual(
      risks.map(({ text }) => text),
      [
        "replace of Role rc_keeper because of name: it holds data or keys",
        "replace of PersistentVolumeClaim cache: it holds data or keys",
        "delete of Mount transit: it holds data or keys",
      ],
    );
  });

  it("names changed secrets and credentials, migrations, and the point of no instant return", () => {
    const secret = { path: "password", from: "[secret]", to: "[secret]", forcesReplacement: false, isSecret: true };
    const [migration] = promotion.migrations;
    assert.ok(migration);
    const finalized = { ...migration, mirrors: migration.mirrors.map((each) => ({ ...each, isFinalized: true })) };
    const kinds = findRisks(
      [
        change("update", ["Platform", "Database", "Role"], "rc_keeper", [secret]),
        change("update", ["Platform", "Secrets", "Policy"], "r2"),
        change("create", ["Platform", "Secrets", "Policy"], "r3"),
      ],
      [finalized],
    ).map(({ kind }) => kind);
    assert.deepEqual(kinds, ["secret", "secret", "migration", "no-instant-return"]);
  });
});
