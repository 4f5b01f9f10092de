import { readSecretField } from "./vault/kv.ts";
import { VaultSession, type VaultAccess } from "./vault/session.ts";

/** A reference that is malformed, or names something that is not there. The message never quotes a value. */
export class BadReferenceError extends Error {
  override readonly name = "BadReferenceError";
}

/**
 * The value that a reference in configuration names: `env:NAME` is the environment variable NAME.
 *
 * @throws {BadReferenceError} a literal, a malformed reference, a variable that is unset or empty, or a `vault:` reference,
 *   which only {@link resolveReferenceAsync} can follow
 */
export function resolveReference(reference: string): string {
  const parsed = parse(reference);
  if (parsed.kind === "env") return readVariable(parsed.name);
  throw new BadReferenceError(
    `vault:${parsed.path}#${parsed.field} cannot be followed here, where only env: references are; ` +
      `export the value and write env:NAME`,
  );
}

/**
 * Like {@link resolveReference}, and `vault:<mount>/<path>#<field>` is that field of a KV v2 secret.
 *
 * @param vault where `vault:` references are read
 * @throws {BadReferenceError} as above, or a `vault:` reference without `vault`
 * @throws {VaultError} no such secret or field, or Vault does not answer
 */
export async function resolveReferenceAsync(reference: string, vault?: VaultAccess): Promise<string> {
  const parsed = parse(reference);
  if (parsed.kind === "env") return readVariable(parsed.name);
  if (vault === undefined) {
    throw new BadReferenceError(
      `vault:${parsed.path}#${parsed.field} needs a Vault; give the region one in the stack file (vault: {address, token})`,
    );
  }
  return readSecretField(new VaultSession(vault), parsed.path, parsed.field);
}

type Reference =
  | { readonly kind: "env"; readonly name: string }
  | { readonly kind: "vault"; readonly path: string; readonly field: string };

function parse(reference: string): Reference {
  const variable = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(reference);
  if (variable?.[1] !== undefined) return { kind: "env", name: variable[1] };
  const secret = /^vault:([\w.-]+(?:\/[\w.-]+)+)#([\w.-]+)$/.exec(reference);
  // A path is normalised by fetch: `..` would leave the mount.
  if (secret?.[1] !== undefined && secret[2] !== undefined && !/(^|\/)\.+(\/|$)/.test(secret[1])) {
    return { kind: "vault", path: secret[1], field: secret[2] };
  }
  const seen = /^(env|vault):/.exec(reference)?.[0];
  throw new BadReferenceError(
    `${seen ? `a malformed ${seen} reference` : "a literal"} of ${reference.length} characters (not shown, it may be a ` +
      `secret) stands where a reference must; allowed are env:NAME and vault:<mount>/<path>#<field>: ` +
      `export the value and write env:NAME`,
  );
}

function readVariable(name: string): string {
  const value = process.env[name];
  if (value) return value;
  throw new BadReferenceError(
    `env:${name}: the environment variable ${name} is ${value === "" ? "empty" : "not set"}; ` +
      `set it, for the local platform by: source .local/env`,
  );
}
