import type pg from "pg";
import { LedgerError, rangeName } from "./ledger-error.ts";
import { type RangeRow, readRanges } from "./range.ts";
import type { RangeMacs } from "./range-mac.ts";

/** What a check of a mirror's ranges is held to. */
export interface RangeCheck {
  readonly tenant: string;
  readonly mirror: string;
  /** Names of the mirror's pairs. */
  readonly pairs: readonly string[];
  /** The copy has ended: ranges reach to plus infinity, in every pair. */
  readonly isComplete: boolean;
  /** Newest version of the keyset that seals, as far as it is known: no chunk can have been sealed with a newer one. */
  readonly keysetVersion?: number;
}

/**
 * Refuses a ledger that was edited: a row whose MAC does not match, a gap or an overlap between ranges, an end that is
 * missing, a keyset older than the one that sealed a chunk.
 *
 * @param macs undefined when Vault cannot be asked: then rows are only held to each other
 * @throws {LedgerError} naming tenant, row and reason
 */
export async function checkRanges(client: pg.Client, macs: RangeMacs | undefined, check: RangeCheck): Promise<void> {
  const faults: string[] = [];
  for (const pair of check.pairs) {
    const ranges = await readRanges(client, check.mirror, pair);
    if (macs !== undefined) faults.push(...forgedRows(ranges, macs));
    faults.push(...tilingFaults(pair, ranges, check.isComplete));
    faults.push(...rolledBackKeysets(ranges, check.keysetVersion));
  }
  if (faults.length === 0) return;
  const more = faults.length > faultsShown ? `; and ${faults.length - faultsShown} more` : "";
  throw new LedgerError(
    `tenant ${check.tenant}: the ledger of ${check.mirror} was edited: ${faults.slice(0, faultsShown).join("; ")}${more}. ` +
      `Nothing was moved, and what was copied is not known: finalize the mirror away and prepare it again (coordinator finalize)`,
  );
}

const faultsShown = 3;

function forgedRows(ranges: readonly RangeRow[], macs: RangeMacs): string[] {
  return ranges
    .filter((range) => !macs.isGenuine(range))
    .map((range) => `the MAC of ${rangeName(range)} ${range.mac === null ? "is missing" : "does not match the row"}`);
}

/** Places at which ranges do not tile the key space from minus infinity, and to plus infinity when they have to. */
function tilingFaults(pair: string, ranges: readonly RangeRow[], isComplete: boolean): string[] {
  const faults: string[] = [];
  for (const [nth, range] of ranges.entries()) {
    const before = ranges[nth - 1];
    const joins =
      range.ordinal === nth &&
      (before === undefined ? range.lower === null : before.upper !== null && isSame(before.upper, range.lower));
    if (!joins) faults.push(`there is a gap or an overlap before ${rangeName(range)}`);
  }
  const last = ranges.at(-1);
  if (!isComplete) return faults;
  if (last === undefined) faults.push(`rc.range has no row of ${pair}: a gap from end to end`);
  else if (last.upper !== null) faults.push(`there is a gap behind ${rangeName(last)}, the last one`);
  return faults;
}

function isSame(one: readonly string[], other: readonly string[] | null): boolean {
  return other !== null && JSON.stringify(one) === JSON.stringify(other);
}

function rolledBackKeysets(ranges: readonly RangeRow[], newest: number | undefined): string[] {
  const ahead = ranges.find((range) => newest !== undefined && range.keysetVersion > newest);
  if (ahead === undefined) return [];
  return [
    `${rangeName(ahead)} was sealed with keyset version ${ahead.keysetVersion}, the newest in rc.keyset is ${newest}: it was rolled back`,
  ];
}
