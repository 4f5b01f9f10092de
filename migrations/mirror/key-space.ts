import type { KeyRange, KeyText } from "../ledger/range.ts";
import { quoteLiteral, quoteName } from "../postgres/identifier.ts";
import type { KeyColumn } from "./pair-shape.ts";

/** `"a", "b"` or `t."a", t."b"`. */
export function keyList(keys: readonly KeyColumn[], alias?: string): string {
  return keys.map((key) => column(key, alias)).join(", ");
}

/** The same as texts: canonical, since every session of the engine has the same settings. */
export function keyTexts(keys: readonly KeyColumn[], alias?: string): string {
  return keys.map((key) => `${column(key, alias)}::text`).join(", ");
}

/** Columns of a captured change: `k1, k2`; named by place, so that no column name of a tenant's can collide. */
export function dirtyKeys(keys: readonly KeyColumn[], alias?: string): string {
  return keys.map((_, nth) => `${alias === undefined ? "" : `${alias}.`}k${nth + 1}`).join(", ");
}

/**
 * Condition for rows of a range, by comparison of rows; true for the whole key space. Literals, since COPY takes no
 * parameters.
 *
 * @param columns SQL of the key columns, as many as the key has
 */
export function within(columns: string, keys: readonly KeyColumn[], range: KeyRange): string {
  const row = keys.length === 1 ? columns : `ROW(${columns})`;
  const conditions = [
    ...(range.lower === null ? [] : [`${row} > ${bound(keys, range.lower)}`]),
    ...(range.upper === null ? [] : [`${row} <= ${bound(keys, range.upper)}`]),
  ];
  return conditions.length === 0 ? "true" : conditions.join(" AND ");
}

/** `unnest($1::text[]::uuid[], ..) AS k(k1, ..)`: a list of keys as a table; parameters begin at `first`. */
export function keyTable(keys: readonly KeyColumn[], alias: string, first = 1): string {
  const arrays = keys.map((key, nth) => `$${first + nth}::text[]::${key.type}[]`).join(", ");
  return `unnest(${arrays}) AS ${alias}(${dirtyKeys(keys)})`;
}

/** Parameters of `keyTable`: one array per key column. */
export function keyParameters(keys: readonly KeyColumn[], texts: readonly KeyText[]): string[][] {
  return keys.map((_, nth) => texts.map((text) => text[nth] as string));
}

/** SQL of a key as an array of texts. */
export function keyArray(keys: readonly KeyColumn[], alias: string): string {
  return `ARRAY[${keys.map((_, nth) => `${alias}.k${nth + 1}::text`).join(", ")}]`;
}

/** `a."x" = b.k1 AND ..` */
export function joinOn(keys: readonly KeyColumn[], tableAlias: string, keyAlias: string): string {
  return keys.map((key, nth) => `${tableAlias}.${quoteName(key.name)} = ${keyAlias}.k${nth + 1}`).join(" AND ");
}

/**
 * Record id of a row in its associated data: the canonical text of a single key; of a composite one the JSON array of
 * the texts, so that ("a,b", "c") and ("a", "b,c") differ.
 */
export function recordIdOf(key: KeyText): string {
  return key.length === 1 ? (key[0] as string) : JSON.stringify(key);
}

function column(key: KeyColumn, alias: string | undefined): string {
  return alias === undefined ? quoteName(key.name) : `${alias}.${quoteName(key.name)}`;
}

function bound(keys: readonly KeyColumn[], texts: KeyText): string {
  const literals = keys.map((key, nth) => `${quoteLiteral(texts[nth] as string)}::${key.type}`);
  return keys.length === 1 ? (literals[0] as string) : `ROW(${literals.join(", ")})`;
}
