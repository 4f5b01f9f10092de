import type pg from "pg";
import { type KeyText, readFrontier } from "../ledger/range.ts";
import { sqlState } from "../postgres/errors.ts";
import { passingStates } from "../postgres/transaction.ts";
import { chunkLimitBytes } from "./chunk.ts";
import { reached } from "./fault-point.ts";
import { dirtyKeys, joinOn, keyList, keyParameters, keyTable, within } from "./key-space.ts";
import type { Lane } from "./pair-shape.ts";
import type { Run } from "./run.ts";
import type { PayloadCodec, Sealing } from "./sealing.ts";
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
export async function drain(run: Run, lane: Lane, sealing: Sealing): Promise<number> {
  let drained = 0;
  for (;;) {
    await reached("drain.before");
    const batch = await sealing.withCodec(lane.pair, (codec) =>
      run.write(
        lane.mirror,
        async (client, state) => {
          const taken = await drainOnce(client, lane, codec, state.phase !== "load");
          await reached("drain.commit.before");
          return taken;
        },
        // The parent may be deleted between reading the row and writing its copy; read again, the row is gone too.
        { retryOn: [...passingStates, sqlState.foreignKeyViolation] },
      ),
    );
    await reached("drain.commit.after");
    drained += batch.keys.length;
    if (batch.isLast) return drained;
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
  codec: PayloadCodec,
  notesUnverified: boolean,
): Promise<DrainedBatch> {
  const batch = await readBatch(client, lane);
  if (batch.keys.length === 0) return batch;
  const { keys } = lane;
  const present = await client.query<{ key: string[]; payload: Buffer }>(
    `SELECT ${keyArray(lane, "k")} AS key, ${payloadBytes(lane.from.payloadType, `t.${lane.payload}`)} AS payload
     FROM ${keyTable(keys, "k")} JOIN ${lane.from.quoted} AS t ON ${joinOn(keys, "t", "k")}`,
    keyParameters(keys, batch.keys),
  );
  const found = present.rows.map(({ key, payload }) => ({ key, payload: codec.convert(lane.fromSide, key, payload) }));
  const foundKeys = new Set(found.map((row) => JSON.stringify(row.key)));
  const gone = batch.keys.filter((key) => !foundKeys.has(JSON.stringify(key)));
  if (gone.length > 0) {
    await client.query(
      `DELETE FROM ${lane.to.quoted} AS t USING ${keyTable(keys, "k")} WHERE ${joinOn(keys, "t", "k")}`,
      keyParameters(keys, gone),
    );
  }
  if (found.length > 0) {
    const parameter = `$${keys.length + 1}::bytea[]`;
    const value = lane.to.payloadType === "bytea" ? "k.payload" : "convert_from(k.payload, 'UTF8')";
    const arrays = keys.map((key, nth) => `$${nth + 1}::text[]::${key.type}[]`).join(", ");
    await client.query(
      `INSERT INTO ${lane.to.quoted} (${keyList(keys)}, ${lane.payload})
       SELECT ${dirtyKeys(keys, "k")}, ${value} FROM unnest(${arrays}, ${parameter}) AS k(${dirtyKeys(keys)}, payload)
       ORDER BY ${dirtyKeys(keys, "k")}
       ON CONFLICT (${keyList(keys)}) DO UPDATE SET ${lane.payload} = EXCLUDED.${lane.payload}`,
      [
        ...keyParameters(
          keys,
          found.map((row) => row.key),
        ),
        found.map((row) => row.payload),
      ],
    );
  }
  await client.query(`DELETE FROM ${lane.dirty} WHERE seq = ANY($1)`, [batch.seqs]);
  if (notesUnverified) {
    await noteUnverified(client, lane, batch.keys);
    await dropRoots(client, lane, codec.macs, batch.keys);
  }
  return batch;
}

/** Puts keys on the list of those to be compared again. */
async function noteUnverified(client: pg.Client, lane: Lane, keys: readonly KeyText[]): Promise<void> {
  await client.query(
    `INSERT INTO rc.unverified (mirror, pair, key)
     SELECT $1, $2, ${keyArray(lane, "k")} FROM ${keyTable(lane.keys, "k", 3)}
     ON CONFLICT (mirror, pair, key) DO UPDATE SET noted = EXCLUDED.noted`,
    [lane.mirror, lane.id, ...keyParameters(lane.keys, keys)],
  );
}

/** SQL of a payload as bytes, whatever the column's type. */
export function payloadBytes(payloadType: "text" | "bytea", column: string): string {
  return payloadType === "bytea" ? column : `convert_to(${column}, 'UTF8')`;
}

/** SQL of a key as an array of texts. */
export function keyArray(lane: Lane, alias: string): string {
  return `ARRAY[${lane.keys.map((_, nth) => `${alias}.k${nth + 1}::text`).join(", ")}]`;
}

/** Keys that were brought over together. */
export interface DrainedBatch {
  readonly keys: KeyText[];
  readonly isLast: boolean;
}

interface Batch extends DrainedBatch {
  readonly seqs: string[];
}

/** Captured rows of copied ranges in the order of seq, until their present rows hold 8 MiB. */
async function readBatch(client: pg.Client, lane: Lane): Promise<Batch> {
  const frontier = await readFrontier(client, lane.mirror, lane.id);
  if (frontier === "nothing") return { keys: [], seqs: [], isLast: true };
  const { keys } = lane;
  const found = await client.query<{ seq: string; key: string[]; bytes: number }>(
    `SELECT d.seq, ${keyArray(lane, "d")} AS key, coalesce(octet_length(t.${lane.payload}), 0) AS bytes
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
