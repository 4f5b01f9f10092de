import type { MirrorDefinition } from "./mirror/definition.ts";
import { promptEncryption } from "./prompt-encryption.ts";

const definitions: readonly MirrorDefinition[] = [promptEncryption];

/** All mirrors this program knows, in the order in which they were introduced. */
export function allMirrors(): readonly MirrorDefinition[] {
  return definitions;
}

/** Undefined for a name this program does not know. */
export function findMirror(name: string): MirrorDefinition | undefined {
  return definitions.find((definition) => definition.name === name);
}

/** @throws {Error} naming the ones that exist */
export function getMirror(name: string): MirrorDefinition {
  const found = findMirror(name);
  if (found !== undefined) return found;
  const known = definitions.map((definition) => definition.name).join(", ");
  throw new Error(
    `mirror ${JSON.stringify(name)} is unknown; this program has: ${known}. Run the program that ran last in this environment, or add migrations/${name}.ts`,
  );
}
