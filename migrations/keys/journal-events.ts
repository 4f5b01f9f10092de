/** What the journal of a tenant's ledger says of its keys. */
export const keyEvents = {
  /** Detail `to`: the version that the KEK is to reach. Written before Vault is asked. */
  rotationBegun: "kek-rotation-begun",
  /** Detail `version`, `minDecryptionVersion`: every keyset is wrapped by `version`. */
  rotated: "kek-rotated",
  /** Detail `class`, `keyId`, `sealsFrom`: the earliest time at which it may be promoted. */
  keyAdded: "key-added",
  /** Detail `class`, `keyId`. */
  keyPromoted: "key-promoted",
  /** Detail `class`, `keyId`. */
  keyDisabled: "key-disabled",
} as const;
