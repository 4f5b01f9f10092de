import type pg from "pg";
import { heedFlags, holdEpoch } from "../ledger/epoch.ts";
import { amend, note } from "../ledger/journal.ts";
import type { Position } from "../ledger/position.ts";
import type { KeyText } from "../ledger/range.ts";
import { setWhereabouts } from "../ledger/whereabouts.ts";
import { startCaptureSql, stopCaptureSql } from "./capture.ts";
import { drainOnce } from "./drain.ts";
import { reached } from "./fault-point.ts";
import { countWaiting, cutoverKeyLimit, type MirrorLanes } from "./follow.ts";
import type { MirrorGoal } from "./plan.ts";
import type { Run } from "./run.ts";
import type { Carriage, Carrier } from "./carrier.ts";

/** The transaction is over after this time whatever happens, milliseconds. */
export const cutoverTransactionMs = 400;

/** A cutover that may not be, or that found no gap between the users' transactions. */
export class CutoverError extends Error {
  override readonly name = "CutoverError";
}

/** More keys came in than may be brought over under the lock; not shown to anybody. */
export class TooManyKeysError extends Error {}

/** Rows of the authoritative side are not whole, so they cannot be brought over; the message counts them. */
export class UnreadyRowsError extends TooManyKeysError {}

/** Something came in although nothing had waited, and the keys were not fetched; not shown to anybody. */
export class KeysNeededError extends TooManyKeysError {}

/** A mirror whose authority moves. */
export interface MovingMirror extends MirrorLanes {
  readonly goal: MirrorGoal;
}

/** What one try is made with. */
export interface CutoverTry {
  readonly moving: readonly MovingMirror[];
  /** Undefined when nothing waits, so that none are needed. */
  readonly carriers: ReadonlyMap<Carriage, readonly Carrier[]> | undefined;
  /** SQL of the privileges afterwards. */
  readonly grants: string;
  /** All tables of the step, in the order in which every try locks them. */
  readonly tables: readonly string[];
  /** Longest wait for the tables, milliseconds: writers queue behind us as long. */
  readonly lockTimeoutMs: number;
  /** Set once the server may have committed. */
  readonly progress: { isCommitting: boolean };
}

/**
 * The transaction that moves authority: takes the tables from the writers (readers go on), drains and compares the rest,
 * changes positions, epochs, whereabouts, privileges and capture together. Calls Vault at no time.
 *
 * @param client a session of its own: a transaction timeout ends the session too
 * @returns for how long writers waited, milliseconds
 * @throws {TakenOverError} @throws {CancelledError} @throws {PausedError} @throws {CutoverError} rows differ
 */
export async function tryCutover(
  run: Run,
  client: pg.Client,
  { moving, carriers, grants, tables, lockTimeoutMs, progress }: CutoverTry,
): Promise<number> {
  await reached("cutover.lock.before");
  await client.query(`BEGIN; SET LOCAL lock_timeout = ${lockTimeoutMs}`);
  // Those that stay are held as well: privileges are granted by their positions, and without a mirror that moves
  // nothing else would stop a run that was taken over from letting its release in.
  const leaving = new Set(moving.map(({ goal }) => goal.definition.name));
  for (const name of run.mirrors)
    heedFlags(await holdEpoch(client, name, run.epochOf(name), leaving.has(name) ? "UPDATE" : "SHARE"));
  const stopWatch = await limitTransaction(run, client);
  try {
    const lockedAt = performance.now(); // writers queue from the moment the lock is asked for
    if (tables.length > 0) await client.query(`LOCK TABLE ${tables.join(", ")} IN SHARE ROW EXCLUSIVE MODE`);
    await reached("cutover.lock.after");
    let drained = 0;
    for (const mirror of moving) drained += await finish(client, mirror, carriers?.get(mirror.carriage));
    await reached("cutover.flip");
    await client.query(moving.flatMap(flipSql).concat(grants).join(";\n"));
    await setWhereabouts(client, { tenant: run.job.tenant, release: run.job.release.id, pin: run.job.release.pin });
    const entry = await note(client, {
      event: "cutover",
      detail: {
        release: run.job.release.id,
        pin: run.job.release.pin,
        mirrors: moving.map(({ goal }) => goal.definition.name),
        drainedUnderLock: drained,
      },
    });
    await reached("cutover.unlock.before");
    progress.isCommitting = true;
    await client.query("COMMIT");
    const lockMs = Math.round((performance.now() - lockedAt) * 10) / 10;
    for (const { goal } of moving) run.advanceEpoch(goal.definition.name);
    await reached("cutover.unlock.after");
    // Committed: a fault from here on must not be told as one of the cutover.
    await amend(run.sessions.control, entry, { lockMs }).catch(() => undefined);
    return lockMs;
  } finally {
    stopWatch();
  }
}

/** Drains and compares what is left of one mirror, under the lock. @returns keys */
async function finish(
  client: pg.Client,
  { lanes, goal }: MovingMirror,
  carriers: readonly Carrier[] | undefined,
): Promise<number> {
  const waiting = await countWaiting(client, lanes);
  if (waiting === 0) return 0;
  if (carriers === undefined) throw new KeysNeededError();
  if (waiting > cutoverKeyLimit) throw new TooManyKeysError();
  for (const [nth, lane] of lanes.entries()) {
    const carrier = carriers[nth] as Carrier;
    for (;;) {
      const { isLast, left } = await drainOnce(client, lane, carrier, true);
      // Whoever writes them is shut out by our lock: only a later try can find them whole.
      if (left > 0)
        throw new UnreadyRowsError(
          `${left} rows of ${lane.from.name} are pending or not in Milvus in their version: let the release that wrote them write them again, or delete them`,
        );
      if (isLast) break;
    }
    const listed = await client.query<{ key: KeyText }>(
      "SELECT key FROM rc.unverified WHERE mirror = $1 AND pair = $2",
      [lane.mirror, lane.id],
    );
    const compared = await carrier.compareKeys(
      client,
      lane,
      listed.rows.map((row) => row.key),
    );
    const wrong = compared.filter((one) => !one.isEqual).length;
    if (wrong > 0 || compared.length !== listed.rows.length) {
      throw new CutoverError(
        `mirror ${goal.definition.name}, ${lane.id}: ${wrong} of the last ${compared.length} rows differ; nothing was moved: run prepare again`,
      );
    }
    await client.query("DELETE FROM rc.unverified WHERE mirror = $1 AND pair = $2", [lane.mirror, lane.id]);
  }
  if ((await countWaiting(client, lanes)) !== 0) throw new TooManyKeysError();
  return waiting;
}

/** Position, epoch and capture of one mirror. */
function flipSql({ goal, lanes }: MovingMirror): string[] {
  const position: Position = goal.goal === "sink" ? "switched" : "mirroring";
  const name = goal.definition.name.replaceAll("'", "''");
  return [
    ...lanes.map((lane) => stopCaptureSql(lane.from)),
    ...lanes.map((lane) => startCaptureSql(lane, lane.to)),
    `UPDATE rc.mirror SET position = '${position}', epoch = epoch + 1, updated_at = now() WHERE mirror = '${name}'`,
  ];
}

/**
 * Ends the transaction after `cutoverTransactionMs`, whatever becomes of this process. Servers before 17 have no
 * transaction_timeout: there a watch in this process ends the session.
 */
async function limitTransaction(run: Run, client: pg.Client): Promise<() => void> {
  const server = await client.query<{ version: string; pid: number }>(
    "SELECT current_setting('server_version_num') AS version, pg_backend_pid() AS pid",
  );
  const row = server.rows[0];
  if (Number(row?.version) >= 170_000) {
    await client.query(`SET LOCAL transaction_timeout = ${cutoverTransactionMs}`);
    return () => {};
  }
  const watch = setTimeout(() => {
    run.sessions.operator.query("SELECT pg_terminate_backend($1)", [row?.pid]).catch(() => {});
  }, cutoverTransactionMs);
  return () => clearTimeout(watch);
}
