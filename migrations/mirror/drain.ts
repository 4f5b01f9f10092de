import type pg from "pg";
import { type KeyText, readFrontier } from "../ledger/range.ts";
import { sqlState } from "../postgres/errors.ts";
import { passingStates } from "../postgres/transaction.ts";
import type { Carriage, Carrier } from "./carrier.ts";
import { chunkLimitBytes } from "./chunk.ts";
import { reached } from "./fault-point.ts";
import { dirtyKeys, joinOn, keyArray, keyParameters, keyTable, within } from "./key-space.ts";
import { type Lane, payloadSize } from "./pair-shape.ts";
import type { Run } from "./run.ts";
import { dropRoots } from "./touched.ts";

/** Captured changes read at once. */
export const drainBatch = 500;

/**
 * Brings the captured changes of copied ranges to the other side, batch by batch, each in its own transaction; ends with
 * the batch that took all there was (waiting for none to be left could last as long as the traffic). Changes beyond the copied ranges wait: the chunk that copies their range comes after them.
 *
 * @returns keys drained
 * @throws {DeadlineError} @throws {TakenOverError} @throws {CancelledError}
 */
export async function drain(run: Run, lane: Lane, carriage: Carriage): Promise<number> {
  let drained = 0;
  for (;;) {
    await reached("drain.before");
    const batch = await carriage.withCarrier(lane.pair, (carrier) =>
      run.write(
        lane.mirror,
        async (client, state) => {
          const taken = await drainOnce(client, lane, carrier, state.phase !== "load");
          await reached("drain.commit.before");
          return taken;
        },
        // The parent may be deleted between reading the row and writing its copy; read again, the row is gone too.
        { retryOn: [...passingStates, sqlState.foreignKeyViolation] },
      ),
    );
    await reached("drain.commit.after");
    drained += batch.keys.length - batch.left;
    // A batch of which nothing could be brought over would come again and again.
    if (batch.isLast || batch.left === batch.keys.length) return drained;
  }
}

/**
 * One batch in the transaction that is open: the present row of each captured key is read again and upserted or deleted
 * on the other side, then the captured rows are deleted by their own seq - a lower seq can commit later than a higher.
 *
 * @param notesUnverified whether the keys have to be compared again, because their range was
 * @returns the keys of the batch, and whether it held all that was captured when it was read
 */
export async function drainOnce(
  client: pg.Client,
  lane: Lane,
  carrier: Carrier,
  notesUnverified: boolean,
): Promise<DrainedBatch> {
  const batch = await readBatch(client, lane);
  if (batch.keys.length === 0) return { ...batch, left: 0 };
  const left = await carrier.bring(client, lane, batch.keys);
  await client.query(`DELETE FROM ${lane.dirty} WHERE seq = ANY($1)`, [batch.seqs]);
  await putBack(client, lane, left);
  if (notesUnverified) {
    await noteUnverified(client, lane, batch.keys);
    await dropRoots(client, lane, carrier.macs, batch.keys);
  }
  return { ...batch, left: left.length };
}

/** Keys that could not be brought over wait behind all others. */
export async function putBack(client: pg.Client, lane: Lane, keys: readonly KeyText[]): Promise<void> {
  if (keys.length === 0) return;
  await client.query(
    `INSERT INTO ${lane.dirty} (${dirtyKeys(lane.keys)}, op) SELECT ${dirtyKeys(lane.keys)}, 'R' FROM ${keyTable(lane.keys, "k")}`,
    keyParameters(lane.keys, keys),
  );
}

/** Puts keys on the list of those to be compared again. */
async function noteUnverified(client: pg.Client, lane: Lane, keys: readonly KeyText[]): Promise<void> {
  await client.query(
    `INSERT INTO rc.unverified (mirror, pair, key)
     SELECT $1, $2, ${keyArray(lane.keys, "k")} FROM ${keyTable(lane.keys, "k", 3)}
     ON CONFLICT (mirror, pair, key) DO UPDATE SET noted = EXCLUDED.noted`,
    [lane.mirror, lane.id, ...keyParameters(lane.keys, keys)],
  );
}

/** Keys that were brought over together. */
export interface DrainedBatch {
  readonly keys: readonly KeyText[];
  /** Those of them that have to wait. */
  readonly left: number;
  readonly isLast: boolean;
}

interface Batch extends Omit<DrainedBatch, "left"> {
  readonly seqs: string[];
}

/** Captured rows of copied ranges in the order of seq, until their present rows hold 8 MiB. */
async function readBatch(client: pg.Client, lane: Lane): Promise<Batch> {
  const frontier = await readFrontier(client, lane.mirror, lane.id);
  if (frontier === "nothing") return { keys: [], seqs: [], isLast: true };
  const { keys } = lane;
  const found = await client.query<{ seq: string; key: string[]; bytes: number }>(
    `SELECT d.seq, ${keyArray(lane.keys, "d")} AS key, coalesce(${payloadSize(lane.from, "t")}, 0) AS bytes
     FROM (SELECT * FROM ${lane.dirty} AS d
           WHERE ${within(dirtyKeys(keys, "d"), keys, { lower: null, upper: frontier })}
           ORDER BY seq LIMIT ${drainBatch}) AS d
     LEFT JOIN ${lane.from.quoted} AS t ON ${joinOn(keys, "t", "d")} ORDER BY d.seq`,
  );
  const batch = new Map<string, KeyText>();
  const seqs: string[] = [];
  let bytes = 0;
  for (const row of found.rows) {
    const name = JSON.stringify(row.key);
    if (!batch.has(name)) {
      if (bytes >= chunkLimitBytes) break;
      bytes += row.bytes;
      batch.set(name, row.key);
    }
    seqs.push(row.seq);
  }
  return { keys: [...batch.values()], seqs, isLast: seqs.length === found.rows.length && seqs.length < drainBatch };
}
