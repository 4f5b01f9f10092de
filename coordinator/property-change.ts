import type { StepEventMetadata } from "@pulumi/pulumi/automation/index.js";

/** One input of a resource before and after, as text for people; secrets are `[secret]` and Pulumi's own `__*` are left out. */
export interface PropertyChange {
  /** Property path as Pulumi writes it, e.g. `envs[3].value`. */
  readonly path: string;
  /** undefined: it was not there. At most 200 characters. */
  readonly from: string | undefined;
  /** undefined: it goes. At most 200 characters. */
  readonly to: string | undefined;
  readonly forcesReplacement: boolean;
  readonly isSecret: boolean;
}

const longest = 200;
const secretMark = "[secret]";
/** Key by which Pulumi marks wrapped values in JSON, and its value for secrets. */
const signature = { key: "4dabf18193072939515e22adb298388d", secret: "1b47061264138c4ac30d75fd1eb44270" };
/** What stands for a value that only the update will know. */
const unknownValue = /^04da6b54-80e4-46f7-96ec-b56ff0331ba9$/;
/** A property of that name is never shown, even when a program forgot to mark it. */
const secretName = /password|passphrase|secret|token|credential|private_?key|api_?key/i;

/** The inputs that differ in one step of the engine, in the order of their paths. */
export function propertyChanges(step: StepEventMetadata): PropertyChange[] {
  const detailed = step.detailedDiff ?? {};
  const paths = step.detailedDiff ? Object.keys(detailed) : (step.diffs ?? []);
  return paths
    .filter((path) => !segmentsOf(path).some((segment) => segment.startsWith("__")))
    .sort()
    .map((path) => {
      const kind = String(detailed[path]?.diffKind ?? "update");
      const hidden = segmentsOf(path).some((segment) => secretName.test(segment));
      const before = kind.startsWith("add") ? undefined : valueAt(step.old?.inputs, path);
      const after = kind.startsWith("delete") ? undefined : valueAt(step.new?.inputs, path);
      const [from, to] = [before, after].map((value) => shown(value, hidden));
      return {
        path,
        from,
        to,
        forcesReplacement: kind.endsWith("replace") || (step.keys ?? []).includes(segmentsOf(path)[0] ?? path),
        isSecret: [from, to].some((text) => text?.includes(secretMark) === true),
      };
    });
}

/** `envs[3].value` -> `envs`, `3`, `value`; `tags["a.b"]` -> `tags`, `a.b`. */
export function segmentsOf(path: string): string[] {
  return [...path.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(
    ([, quoted, index, plain]) => quoted?.replaceAll(/\\(.)/g, "$1") ?? index ?? plain ?? "",
  );
}

/** Text without the passwords of URLs. */
export function withoutUrlPasswords(text: string): string {
  return text.replaceAll(/\/\/[^/@\s"']+@/g, `//${secretMark}@`);
}

function valueAt(inputs: unknown, path: string): unknown {
  return segmentsOf(path).reduce<unknown>((value, segment) => {
    if (isSecretValue(value)) return value;
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[segment] : undefined;
  }, inputs);
}

function shown(value: unknown, isHidden: boolean): string | undefined {
  if (value === undefined) return undefined;
  if (isHidden || isSecretValue(value)) return secretMark;
  const text = withoutUrlPasswords(JSON.stringify(value, replacer) ?? typeof value);
  return text.length > longest ? `${text.slice(0, longest - 3)}...` : text;
}

function replacer(key: string, value: unknown): unknown {
  if (key.startsWith("__")) return undefined;
  if (isSecretValue(value) || (value !== undefined && secretName.test(key))) return secretMark;
  return typeof value === "string" && unknownValue.test(value) ? "[known after the update]" : value;
}

function isSecretValue(value: unknown): boolean {
  if (value === secretMark) return true;
  return (
    typeof value === "object" &&
    value !== null &&
    (value as Record<string, unknown>)[signature.key] === signature.secret
  );
}
