import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { repositoryFolder } from "../../local/folders.ts";
import type { PropertyKind } from "../../local/plugins/property.ts";
import type { StateResource } from "./program-stack.ts";

/** One property as the official SDK types it. */
export interface SdkProperty {
  readonly isOptional: boolean;
  /** `any` where the SDK's type is none of those that a stand-in knows. */
  readonly kind: PropertyKind | "any";
  /** Names of an object's fields, or of a list's objects. */
  readonly fields: readonly string[] | undefined;
}

/** What the official SDK in node_modules says of one resource type. */
export interface SdkType {
  readonly inputs: ReadonlyMap<string, SdkProperty>;
  readonly outputs: ReadonlyMap<string, SdkProperty>;
  /** `additionalSecretOutputs` of its constructor. */
  readonly secretOutputs: readonly string[];
}

/** Outputs that the SDK types as always there and that both plugins leave out: they need an input that is not served. */
const unset: Readonly<Record<string, readonly string[]>> = {
  "docker:index/container:Container": ["containerLogs", "exitCode"],
  "vault:appRole/authBackendRoleSecretId:AuthBackendRoleSecretId": ["wrappingAccessor", "wrappingToken"],
};

let program: ts.Program | undefined;
const known = new Map<string, SdkType>();

/** Reads the .d.ts of a type by TypeScript's own checker, and its .js for what no type says. @param token e.g. `vault:index/mount:Mount` */
export function readSdkType(token: string): SdkType {
  const found = known.get(token) ?? read(token);
  known.set(token, found);
  return found;
}

function read(token: string): SdkType {
  const [plugin = "", module = "", name = ""] = token.split(":");
  const [folder = "", file = ""] = module.split("/");
  const parts = ["node_modules/@pulumi", plugin, ...(folder === "index" ? [] : [folder.toLowerCase()]), file];
  const path = join(repositoryFolder, ...parts);
  // The program of before lends the files that it has parsed: the types of Pulumi itself.
  program = ts.createProgram([`${path}.d.ts`], { strict: true, skipLibCheck: true, types: [] }, undefined, program);
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(`${path}.d.ts`);
  if (source === undefined) throw new Error(`${token}: the SDK has no ${path}.d.ts; npm ci`);
  const propertiesOf = (wanted: string): Map<string, SdkProperty> => {
    const node = source.statements.find(
      (each): each is ts.ClassDeclaration | ts.InterfaceDeclaration =>
        (ts.isClassDeclaration(each) || ts.isInterfaceDeclaration(each)) && each.name?.text === wanted,
    );
    if (node === undefined) throw new Error(`${token}: the SDK declares no ${wanted}`);
    const own = [...node.members].filter(
      (member) => ts.isPropertyDeclaration(member) || ts.isPropertySignature(member),
    );
    return new Map(own.map((member) => [member.name.getText(), describeMember(checker, member)]));
  };
  const text = readFileSync(`${path}.js`, "utf8");
  const secrets = /additionalSecretOutputs: \[([^\]]*)\]/.exec(text)?.[1] ?? "";
  return {
    inputs: propertiesOf(`${name}Args`),
    outputs: propertiesOf(name),
    secretOutputs: [...secrets.matchAll(/"(\w+)"/g)].map(([, secret = ""]) => secret),
  };
}

/** What stands in `Output<T>` or `Input<T>`: the wrappers' own types have lost T. */
function describeMember(
  checker: ts.TypeChecker,
  { type: node, questionToken }: ts.PropertyDeclaration | ts.PropertySignature,
): SdkProperty {
  const inner = node !== undefined && ts.isTypeReferenceNode(node) ? (node.typeArguments?.[0] ?? node) : node;
  if (inner === undefined) return { isOptional: true, kind: "any", fields: undefined };
  const type = checker.getTypeFromTypeNode(inner);
  const isMissable = (type.isUnion() ? type.types : [type]).some(({ flags }) => flags & ts.TypeFlags.Undefined);
  return {
    isOptional: questionToken !== undefined || isMissable,
    ...shapeOf(checker, checker.getNonNullableType(type)),
  };
}

function shapeOf(checker: ts.TypeChecker, type: ts.Type): Pick<SdkProperty, "kind" | "fields"> {
  const { flags } = type;
  if (flags & ts.TypeFlags.StringLike) return { kind: "string", fields: undefined };
  if (flags & ts.TypeFlags.NumberLike) return { kind: "number", fields: undefined };
  if (flags & ts.TypeFlags.BooleanLike) return { kind: "boolean", fields: undefined };
  if (checker.isArrayType(type)) {
    const [element] = checker.getTypeArguments(type as ts.TypeReference);
    const inner = element === undefined ? undefined : shapeOf(checker, element);
    return inner?.kind === "object"
      ? { kind: "objects", fields: inner.fields }
      : { kind: "strings", fields: undefined };
  }
  if (checker.getIndexInfosOfType(type).length > 0) return { kind: "map", fields: undefined };
  if (flags & ts.TypeFlags.Object) return { kind: "object", fields: type.getProperties().map(({ name }) => name) };
  return { kind: "any", fields: undefined };
}

/** What a resource in state has that the SDK's type does not allow: another name, another kind, other secretness; and what it lacks. */
export function faultsOfState({ type: token, outputs }: StateResource): string[] {
  const sdk = readSdkType(token);
  const found: string[] = [];
  for (const [name, property] of sdk.outputs)
    if (!property.isOptional && outputs[name] === undefined && unset[token]?.includes(name) !== true)
      found.push(`${token}: ${name} is missing`);
  for (const [name, value] of Object.entries(outputs)) {
    if (name.startsWith("__") || name === "id") continue;
    const property = sdk.outputs.get(name);
    if (property === undefined) {
      found.push(`${token}: the SDK has no ${name}`);
      continue;
    }
    const { isSecret, plain } = unwrapped(value);
    if (sdk.secretOutputs.includes(name) && !isSecret) found.push(`${token}: ${name} is no secret`);
    if (!isOfKind(plain, property.kind)) found.push(`${token}: ${name} is not of kind ${property.kind}`);
    for (const entry of Array.isArray(plain) ? plain : [plain])
      if (property.fields !== undefined && typeof entry === "object" && entry !== null)
        found.push(
          ...Object.keys(entry)
            .filter((field) => property.fields?.includes(field) !== true)
            .map((field) => `${token}: the SDK has no ${name}.${field}`),
        );
  }
  return found;
}

function unwrapped(value: unknown): { readonly isSecret: boolean; readonly plain: unknown } {
  const secret = value as { plaintext?: string } | null;
  if (typeof secret !== "object" || secret === null || typeof secret.plaintext !== "string")
    return { isSecret: false, plain: value };
  return { isSecret: true, plain: JSON.parse(secret.plaintext) };
}

function isOfKind(value: unknown, kind: SdkProperty["kind"]): boolean {
  if (value === null || kind === "any") return true;
  if (kind === "strings" || kind === "objects") return Array.isArray(value);
  if (kind === "map" || kind === "object") return typeof value === "object" && !Array.isArray(value);
  return typeof value === kind;
}
