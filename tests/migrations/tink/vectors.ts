import vectors from "./vectors.json" with { type: "json" };
import { Keyset, KeysetKey, type KeyStatus } from "../../../migrations/tink/keyset.ts";

/** What Python's tink 1.16 wrote; `make-vectors.py` beside this file makes it. */
export const pythonVectors = vectors;

/** The keyset of that name, built from its plain numbers and bytes, not from Python's encoding of it. */
export function keysetOf(name: string): Keyset {
  const vector = vectors.keysets.find((each) => each.name === name);
  if (vector === undefined) throw new Error(`no keyset ${name} among the vectors`);
  return new Keyset(
    vector.primaryKeyId,
    vector.keys.map((key) => new KeysetKey(key.id, key.status as KeyStatus, bytesOf(key.value))),
  );
}

export function bytesOf(base64: string): Buffer {
  return Buffer.from(base64, "base64");
}
