import type pg from "pg";
import { changeRanges, type KeyText, readRanges } from "../ledger/range.ts";
import type { RangeMacs } from "../ledger/range-mac.ts";
import { dirtyKeys, keyParameters, keyTable } from "./key-space.ts";
import type { Lane } from "./pair-shape.ts";

/**
 * Takes the root from every range that has one and holds one of these keys, in the transaction that is open: what was
 * drained is not what was compared. Such a range is still compared row by row by `coordinator verify --rows`; it only has
 * no evidence of its own until `restoreRoot` has signed it again.
 */
export async function dropRoots(
  client: pg.Client,
  lane: Lane,
  macs: RangeMacs,
  keys: readonly KeyText[],
): Promise<void> {
  const present = dirtyKeys(lane.keys, "k");
  const bound = (column: string): string =>
    lane.keys.map((key, nth) => `range.${column}[${nth + 1}]::${key.type}`).join(", ");
  const ranges = await readRanges(
    client,
    lane.mirror,
    lane.id,
    `root IS NOT NULL AND EXISTS (SELECT FROM ${keyTable(lane.keys, "k", 3)}
       WHERE (range.lower IS NULL OR ROW(${present}) > ROW(${bound("lower")}))
         AND (range.upper IS NULL OR ROW(${present}) <= ROW(${bound("upper")})))`,
    keyParameters(lane.keys, keys),
  );
  await changeRanges(client, macs, ranges, { root: null });
}
