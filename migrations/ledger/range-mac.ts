import { associatedDataOf } from "../tink/associated-data.ts";
import type { Mac } from "../tink/mac.ts";
import type { RangeRow } from "./range.ts";

/**
 * Signs the ledger of one tenant's copies with its keyset of class `verify` (a Tink MAC): whoever can write to the
 * tenant's database but holds no key cannot edit a row of `rc.range` unnoticed, nor move one to another place, copy,
 * tenant or environment. What is signed is `associatedData(environment, tenant, kind, JSON)`, so that any Tink can check
 * it; the JSON is the array of values in `rowText` and `rootText`, epochs as text.
 */
export class RangeMacs {
  readonly #mac: Mac;
  readonly #row: (text: string) => Buffer;
  readonly #root: (text: string) => Buffer;

  constructor(mac: Mac, environment: string, tenant: string) {
    this.#mac = mac;
    this.#row = associatedDataOf(environment, tenant, "ledger.range");
    this.#root = associatedDataOf(environment, tenant, "ledger.root");
  }

  /** MAC of everything in a row that the engine decides by. */
  sign(row: RangeRow): Buffer {
    return this.#mac.sign(this.#row(rowText(row)));
  }

  /** Whether a row is as the engine wrote it. Never throws. */
  isGenuine(row: RangeRow): boolean {
    return row.mac !== null && this.#mac.isGenuine(row.mac, this.#row(rowText(row)));
  }

  /** MAC of what a range held when it was compared: evidence, which `coordinator verify --rows` holds the rows to. */
  root(range: RangeRow, digest: Buffer): Buffer {
    return this.#mac.sign(this.#root(rootText(range, digest)));
  }

  /** Whether a range still holds what it held when it was compared. Never throws. */
  isRoot(range: RangeRow, digest: Buffer): boolean {
    return range.root !== null && this.#mac.isGenuine(range.root, this.#root(rootText(range, digest)));
  }
}

function placeOf({ mirror, pair, sinceEpoch, ordinal, lower, upper }: RangeRow): unknown[] {
  return [mirror, pair, String(sinceEpoch), ordinal, lower, upper];
}

function rowText(row: RangeRow): string {
  return JSON.stringify([
    ...placeOf(row),
    row.rows,
    row.bytes,
    row.keysetVersion,
    String(row.copiedEpoch),
    row.verifiedEpoch === null ? null : String(row.verifiedEpoch),
    row.repairs,
    row.root === null ? null : row.root.toString("hex"),
  ]);
}

function rootText(range: RangeRow, digest: Buffer): string {
  return JSON.stringify([...placeOf(range), digest.toString("hex")]);
}
