import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { associatedData } from "../tink/associated-data.ts";
import type { NewKeyset } from "./keyset-table.ts";

/** What a stored keyset is, besides its keys: the columns of its row in `rc.keyset`. */
export interface KeysetPlace {
  readonly tenant: string;
  readonly cls: string;
  readonly version: number;
  /** `keyset` for the row itself, `head` for the row that names the newest version. */
  readonly kind: "keyset" | "head";
}

/**
 * Ties a keyset to its place. Vault wraps a keyset without associated data, so that it can rewrap it; a wrapped keyset
 * that was put into the row of another class or version would open there. The binding is an HMAC over tenant, class and
 * version under a key derived from the keyset itself (HKDF-SHA256): only who holds the keyset can make it, it says
 * nothing about the keys, and rewrapping does not change it.
 *
 * @param keyset the keyset in clear, as it is wrapped
 */
export function keysetBinding(keyset: Uint8Array, { tenant, cls, version, kind }: KeysetPlace): Buffer {
  const key = hkdfSync("sha256", keyset, "", "release-coordinator keyset binding 1", 32);
  return createHmac("sha256", Buffer.from(key))
    .update(associatedData(kind, tenant, cls, String(version)))
    .digest();
}

/** Whether this keyset was stored in this place. */
export function isBound(keyset: Uint8Array, place: KeysetPlace, binding: Uint8Array): boolean {
  const expected = keysetBinding(keyset, place);
  return binding.length === expected.length && timingSafeEqual(binding, expected);
}

/** What `KeysetTable.append` stores for a keyset that becomes this version. */
export function bindKeyset(
  keyset: Uint8Array,
  encrypted: Buffer,
  place: Pick<KeysetPlace, "tenant" | "cls" | "version">,
): NewKeyset {
  return {
    encrypted,
    binding: keysetBinding(keyset, { ...place, kind: "keyset" }),
    headBinding: keysetBinding(keyset, { ...place, kind: "head" }),
  };
}
