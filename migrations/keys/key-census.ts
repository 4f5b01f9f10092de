import type pg from "pg";
import { allMirrors } from "../mirrors.ts";
import { quoteName, quoteTable } from "../postgres/identifier.ts";
import { sealedKeyId } from "../tink/aead.ts";

/** Rows that one key has sealed. */
export interface KeyRows {
  readonly keyId: number;
  readonly rows: number;
}

/**
 * Counts the sealed rows of a class by the key that sealed them: its id stands in the first five bytes of every ciphertext, so
 * nothing is opened and no long value is read.
 *
 * @throws {Error} a value does not begin as a ciphertext of Tink does
 */
export async function countRowsByKey(client: pg.Client, cls: string): Promise<KeyRows[]> {
  const counts = new Map<number, number>();
  for (const pair of allMirrors().flatMap((mirror) => (mirror.keysetClass === cls ? mirror.pairs : []))) {
    const there = await client.query("SELECT WHERE to_regclass($1) IS NOT NULL", [quoteTable("public", pair.sink)]);
    if (there.rowCount === 0) continue;
    const found = await client.query<{ prefix: Buffer; rows: string }>(
      `SELECT substr(${quoteName(pair.payload)}, 1, 5) AS prefix, count(*) AS rows FROM ${quoteTable("public", pair.sink)} GROUP BY 1`,
    );
    for (const { prefix, rows } of found.rows) {
      const keyId = sealedKeyId(prefix);
      if (keyId === undefined)
        throw new Error(`${rows} values of ${pair.sink} do not begin as ciphertexts do; find them: coordinator verify`);
      counts.set(keyId, (counts.get(keyId) ?? 0) + Number(rows));
    }
  }
  return [...counts].map(([keyId, rows]) => ({ keyId, rows })).sort((a, b) => b.rows - a.rows);
}

/** Classes whose keysets seal rows of tables, so that a census can speak of them. */
export function countableClasses(): string[] {
  return [...new Set(allMirrors().flatMap(({ keysetClass }) => keysetClass ?? []))];
}
