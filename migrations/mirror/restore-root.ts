import type pg from "pg";
import { changeRanges, readRanges } from "../ledger/range.ts";
import { isEqual } from "./compare.ts";
import type { MirrorLanes } from "./follow.ts";
import type { Run } from "./run.ts";
import { DifferenceError, snapshotComparison } from "./verify.ts";

const rootless = "root IS NULL AND verified_epoch >= since_epoch";

/**
 * Compares one range again, of those that have lost their root to a change that was drained into them, and signs what it
 * holds now. Only while nothing waits: what is drained or listed to be compared would not be what is signed. A change that
 * is captured meanwhile takes the root away again when it is drained.
 *
 * @param run holds the tenant's lock: nobody else drains
 * @returns whether one was signed; false when every range has its root, or a change came in
 * @throws {DifferenceError} the sides differ, although every change was brought over: nothing is repaired, and nothing signed
 */
export async function restoreRoot(run: Run, mirrors: readonly MirrorLanes[]): Promise<boolean> {
  for (const { lanes, carriage } of mirrors) {
    for (const lane of lanes) {
      const [range] = await readRanges(run.sessions.control, lane.mirror, lane.id, rootless);
      if (range === undefined) continue;
      const comparison = await snapshotComparison(run, lane, range, carriage);
      if (comparison.hasCaptured) return false;
      if (!isEqual(comparison)) {
        const { missing, surplus, different } = comparison;
        throw new DifferenceError(
          `mirror ${lane.mirror}, ${lane.id}, range ${range.ordinal}: ${missing} rows are missing, ${surplus} too many and ${different} different in ${lane.to.name}, although no change waits; somebody else has written to a side: coordinator verify --rows names the rows`,
        );
      }
      const macs = await carriage.macs();
      const root = macs.root(range, comparison.digest);
      await run.write(lane.mirror, (client) => changeRanges(client, macs, [range], { root }));
      return true;
    }
  }
  return false;
}

/** Whether `restoreRoot` would find something to do. One query. */
export async function hasLostRoots(client: pg.Client, mirrors: readonly string[]): Promise<boolean> {
  const found = await client.query(
    `SELECT FROM rc.range JOIN rc.mirror USING (mirror) WHERE mirror = ANY($1) AND ${rootless} LIMIT 1`,
    [mirrors],
  );
  return (found.rowCount ?? 0) > 0;
}
