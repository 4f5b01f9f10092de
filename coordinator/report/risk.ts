import type { ResourceChange } from "../stack-events.ts";
import type { WaveMigration } from "./wave-migration.ts";

/** Resources that an update touches, each counted once: a replacement is one, not a deletion and a creation. */
export interface ChangeCounts {
  readonly create: number;
  readonly update: number;
  readonly replace: number;
  readonly delete: number;
}

/** What a reviewer should stop at. */
export interface Risk {
  readonly kind: "stateful" | "secret" | "migration" | "no-instant-return";
  readonly text: string;
}

/** Parts of the graph that hold data or keys; fleets, keeper and flags can be made anew at any time. */
const statefulParts = new Set(["Secrets", "Database", "Milvus", "Tenants", "Wave"]);
/** Kinds outside of those parts that hold data, wherever they stand. */
const statefulTypes = new Set(["PersistentVolumeClaim", "PersistentVolume", "StatefulSet", "Volume"]);
/** Kinds that are credentials or decide who may use one. */
const secretTypes =
  /^(RandomPassword|RandomId|Secret|SecretId|AuthBackendRole|AuthBackendRoleSecretId|Policy|Mount|Role|Grant|GrantRole)$/;

/** One change a resource: the steps of a replacement become one `replace`. Pulumi's own stack row is left out. */
export function mergedChanges(changes: readonly ResourceChange[]): ResourceChange[] {
  const merged = new Map<string, ResourceChange>();
  for (const change of changes) {
    if (change.urn.includes("::pulumi:pulumi:Stack::")) continue;
    const known = merged.get(change.urn);
    const isReplacement = /replace/.test(change.op) || (known !== undefined && known.op !== change.op);
    const properties = [...(known?.properties ?? []), ...change.properties];
    merged.set(change.urn, {
      ...change,
      op: isReplacement ? "replace" : change.op,
      diffs: [...new Set([...(known?.diffs ?? []), ...change.diffs])],
      properties: properties.filter(
        ({ path }, index) => properties.findIndex((other) => other.path === path) === index,
      ),
    });
  }
  return [...merged.values()].sort((a, b) => (a.urn < b.urn ? -1 : a.urn > b.urn ? 1 : 0));
}

/** @param changes as `mergedChanges` makes them */
export function countChanges(changes: readonly ResourceChange[]): ChangeCounts {
  const count = (op: string) => changes.filter((change) => change.op === op).length;
  const [create, replace, gone] = [count("create") + count("import"), count("replace"), count("delete")];
  return { create, replace, delete: gone, update: changes.length - create - replace - gone };
}

/** @param changes as `mergedChanges` makes them */
export function findRisks(changes: readonly ResourceChange[], migrations: readonly WaveMigration[]): Risk[] {
  const risks: Risk[] = [];
  for (const { op, type, name, path, properties } of changes) {
    const isStateful = statefulTypes.has(type) || path.some((part) => statefulParts.has(part));
    if (isStateful && (op === "replace" || op === "delete")) {
      const because = properties.filter(({ forcesReplacement }) => forcesReplacement).map(({ path: at }) => at);
      const why = because.length === 0 ? "" : ` because of ${because.slice(0, 5).join(", ")}`;
      risks.push({ kind: "stateful", text: `${op} of ${type} ${name}${why}: it holds data or keys` });
    }
    const secrets = properties.filter(({ isSecret }) => isSecret).map(({ path: at }) => at);
    if (secrets.length > 0 && op !== "create")
      risks.push({
        kind: "secret",
        text: `${op} of ${type} ${name} changes a secret: ${secrets.slice(0, 5).join(", ")}`,
      });
    else if (secretTypes.test(type) && op !== "create")
      risks.push({ kind: "secret", text: `${op} of ${type} ${name}: it is a credential, or decides who may use one` });
  }
  for (const { wave, pin, moving, tenants, mirrors } of migrations) {
    if (moving > 0)
      risks.push({ kind: "migration", text: `wave ${wave}: ${moving} of ${tenants} tenants move to ${pin}` });
    for (const { mirror, isFinalized } of mirrors)
      if (isFinalized)
        risks.push({
          kind: "no-instant-return",
          text: `wave ${wave}: finalize takes ${mirror} to its end; from then on going back is a rebuild`,
        });
  }
  return risks;
}
