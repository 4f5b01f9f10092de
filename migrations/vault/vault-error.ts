/**
 * Why Vault did not do what it was asked. Worth another try later: `sealed`, `unreachable`, `overloaded`. About the
 * caller: `untrusted` (certificate), `denied`, `missing-mount`. About a KEK: `missing-key`, `unsafe-key` (exportable,
 * derived, deletable or of another type). About a ciphertext: `too-old` (below `min_decryption_version`), `too-new`
 * (made with a version this KEK has not reached), `not-authentic`. Anything else: `refused`.
 */
export type VaultFailure =
  | "sealed"
  | "unreachable"
  | "overloaded"
  | "untrusted"
  | "denied"
  | "missing-mount"
  | "missing-key"
  | "unsafe-key"
  | "too-old"
  | "too-new"
  | "not-authentic"
  | "refused";

/** The message holds what was asked of whom and how to mend it; never a token, a key, a plaintext or Vault's own text. */
export class VaultError extends Error {
  override readonly name = "VaultError";
  readonly reason: VaultFailure;

  constructor(reason: VaultFailure, message: string) {
    super(message);
    this.reason = reason;
  }

  /** Whether the same request may succeed later without anybody changing it. */
  get isTransient(): boolean {
    return this.reason === "sealed" || this.reason === "unreachable" || this.reason === "overloaded";
  }
}
