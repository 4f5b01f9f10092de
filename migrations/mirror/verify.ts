import { note } from "../ledger/journal.ts";
import { changeRanges, type CopiedRange, type KeyText, readRanges } from "../ledger/range.ts";
import { inSnapshot } from "../postgres/transaction.ts";
import { type Comparison, isEqual } from "./compare.ts";
import { drain } from "./drain.ts";
import { reached } from "./fault-point.ts";
import { keyParameters, keyTable } from "./key-space.ts";
import type { Lane } from "./pair-shape.ts";
import type { Run } from "./run.ts";
import type { Carriage } from "./carrier.ts";

/** The two sides differ although nothing should have changed the copy, and a repair did not help. */
export class DifferenceError extends Error {
  override readonly name = "DifferenceError";
}

/**
 * Compares every range that was not compared since the copy began, each in its own snapshot. A range that differs is
 * copied again once; if it then still differs, everything stops.
 *
 * @throws {DifferenceError} with counts, never keys
 */
export async function verify(run: Run, lane: Lane, carriage: Carriage): Promise<void> {
  const ranges = await readRanges(run.sessions.control, lane.mirror, lane.id);
  const left = ranges.filter(({ isVerified }) => !isVerified);
  run.progress.expect(
    "compared",
    left.reduce((sum, { rows }) => sum + rows, 0),
  );
  for (const unverified of left) {
    let range = unverified;
    run.checkDeadline();
    await reached("verify.before");
    let comparison = await snapshotComparison(run, lane, range, carriage);
    if (!isEqual(comparison)) {
      if (range.repairs > 0) throw difference(lane, range, comparison);
      range = await repair(run, lane, range, comparison, carriage);
      comparison = await snapshotComparison(run, lane, range, carriage);
      if (!isEqual(comparison)) throw difference(lane, range, comparison);
    }
    const macs = await carriage.macs();
    // A key with a captured change was left out of the comparison: it will be drained, and the root would not fit then.
    const root = comparison.hasCaptured ? null : macs.root(range, comparison.digest);
    const compared = range;
    await run.write(lane.mirror, (client, { epoch }) =>
      changeRanges(client, macs, [compared], { verifiedEpoch: epoch, root }),
    );
    run.progress.add("compared", compared.rows);
    await reached("verify.after");
  }
}

/** Compares a range in a snapshot of its own. */
export async function snapshotComparison(
  run: Run,
  lane: Lane,
  range: CopiedRange,
  carriage: Carriage,
): Promise<Comparison> {
  return carriage.withCarrier(lane.pair, (carrier) =>
    inSnapshot(run.sessions.reader, (client) => carrier.compareRange(client, lane, range)),
  );
}

/** Empties the range on the other side and copies it again; captured changes of it are drained afterwards as ever. */
async function repair(
  run: Run,
  lane: Lane,
  range: CopiedRange,
  seen: Comparison,
  carriage: Carriage,
): Promise<CopiedRange> {
  const repairs = range.repairs + 1;
  await carriage.withCarrier(lane.pair, (carrier) =>
    run.write(lane.mirror, async (client) => {
      await carrier.remove(client, lane, range);
      await carrier.write(client, lane, await carrier.read(client, lane, range));
      await changeRanges(client, carrier.macs, [range], { repairs });
      const { missing, surplus, different } = seen;
      await note(client, {
        mirror: lane.mirror,
        event: "repaired",
        detail: { pair: lane.id, range: range.ordinal, missing, surplus, different },
      });
    }),
  );
  const macs = await carriage.macs();
  return { ...range, repairs, mac: macs.sign({ ...range, repairs }) };
}

function difference(lane: Lane, range: CopiedRange, seen: Comparison): DifferenceError {
  return new DifferenceError(
    `mirror ${lane.mirror}, ${lane.id}, range ${range.ordinal}: after a repair ${seen.missing} rows are missing, ${seen.surplus} too many and ${seen.different} different in ${lane.to.name}; somebody else writes to it: find who has privileges on it, then coordinator verify`,
  );
}

/** Keys compared again in one go. */
const recheckBatch = 500;

/**
 * Compares the keys that were drained after their range was compared. One that differs is drained once more; if it then
 * still differs, everything stops.
 *
 * @returns keys that still wait, because they have changed again
 * @throws {DifferenceError}
 */
export async function recheck(run: Run, lane: Lane, carriage: Carriage): Promise<number> {
  let above: KeyText | undefined;
  for (;;) {
    run.checkDeadline();
    const listed: { rows: { key: string[]; noted: string; repairs: number }[] } = await run.sessions.control.query(
      `SELECT key, noted, repairs FROM rc.unverified WHERE mirror = $1 AND pair = $2 AND ($3::text[] IS NULL OR key > $3)
       ORDER BY key LIMIT ${recheckBatch}`,
      [lane.mirror, lane.id, above ?? null],
    );
    if (listed.rows.length === 0) break;
    above = listed.rows.at(-1)?.key;
    const entries = new Map(listed.rows.map((row) => [JSON.stringify(row.key), row]));
    const compared = await carriage.withCarrier(lane.pair, (carrier) =>
      inSnapshot(run.sessions.reader, (client) =>
        carrier.compareKeys(
          client,
          lane,
          listed.rows.map((row) => row.key),
        ),
      ),
    );
    const known = compared.map((one) => ({ ...one, entry: entries.get(JSON.stringify(one.key)) }));
    const wrong = known.filter((one) => !one.isEqual);
    const stubborn = wrong.filter((one) => (one.entry?.repairs ?? 0) > 0).length;
    if (stubborn > 0) {
      throw new DifferenceError(
        `mirror ${lane.mirror}, ${lane.id}: ${stubborn} rows of ${lane.to.name} differ again after a repair; somebody else writes to it: find who has privileges on it, then coordinator verify`,
      );
    }
    await run.write(lane.mirror, async (client) => {
      // A key drained again since the list was read has a newer number and stays.
      const right = known.filter((one) => one.isEqual).map((one) => one.entry?.noted);
      await client.query("DELETE FROM rc.unverified WHERE mirror = $1 AND pair = $2 AND noted = ANY($3)", [
        lane.mirror,
        lane.id,
        right,
      ]);
      if (wrong.length === 0) return;
      await client.query(
        "UPDATE rc.unverified SET repairs = repairs + 1 WHERE mirror = $1 AND pair = $2 AND noted = ANY($3)",
        [lane.mirror, lane.id, wrong.map((one) => one.entry?.noted)],
      );
      const columns = lane.keys.map((_, nth) => `k${nth + 1}`).join(", ");
      await client.query(
        `INSERT INTO ${lane.dirty} (${columns}, op) SELECT ${columns}, 'R' FROM ${keyTable(lane.keys, "k")}`,
        keyParameters(
          lane.keys,
          wrong.map((one) => one.key),
        ),
      );
      await note(client, { mirror: lane.mirror, event: "repaired", detail: { pair: lane.id, keys: wrong.length } });
    });
    if (wrong.length > 0) {
      await drain(run, lane, carriage);
      above = undefined;
    }
  }
  const left = await run.sessions.control.query<{ left: string }>(
    "SELECT count(*) AS left FROM rc.unverified WHERE mirror = $1 AND pair = $2",
    [lane.mirror, lane.id],
  );
  return Number(left.rows[0]?.left ?? 0);
}
