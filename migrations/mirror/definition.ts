/** One leaf table of (key, payload) and its second copy. Both are in schema public and keep the same key. */
export interface MirrorPair {
  /** Table that holds the payload in clear. Also the pair's name in the ledger: never changes. */
  readonly source: string;
  /** Table that holds it sealed. */
  readonly sink: string;
  /** Column or columns of the primary key, the same names in both tables. */
  readonly key: string | readonly string[];
  /** Column with the value, the same name in both: text in the source, bytea in the sink. */
  readonly payload: string;
  /** Logical kind in the associated data, e.g. `prompt.body`; never changes. */
  readonly kind: string;
  /** Table that the key refers to (on delete cascade); absent = no foreign key. */
  readonly parent?: string;
  /** Columns of the parent that the key refers to, as many as the key has. */
  readonly parentKey?: string | readonly string[];
}

/** A second copy of some data kept equal to the first until authority moves. */
export interface MirrorDefinition {
  /** Name in releases, ledger and config, e.g. `prompt-encryption`; never changes. */
  readonly name: string;
  /** Class of the tenant's keyset that seals the payloads. */
  readonly keysetClass: string;
  readonly pairs: readonly MirrorPair[];
}

/** A single column or several, as a list. */
export function columnsOf(key: string | readonly string[]): readonly string[] {
  return typeof key === "string" ? [key] : key;
}
