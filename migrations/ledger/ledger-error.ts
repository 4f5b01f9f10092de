import type { RangeRow } from "./range.ts";

/** Somebody but the engine has changed the ledger: what was copied is not known any more. */
export class LedgerError extends Error {
  override readonly name = "LedgerError";
}

/** Which row of rc.range, without its bounds: keys are the tenant's. */
export function rangeName({ pair, ordinal }: Pick<RangeRow, "pair" | "ordinal">): string {
  return `rc.range (${pair}, ordinal ${ordinal})`;
}
