import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { planGrants } from "../grants.ts";
import { CancelledError, holdEpoch, TakenOverError } from "../ledger/epoch.ts";
import { amend, note } from "../ledger/journal.ts";
import { authorityOf, type Position } from "../ledger/position.ts";
import type { KeyText } from "../ledger/range.ts";
import { setWhereabouts } from "../ledger/whereabouts.ts";
import { OpenError } from "../tink/aead.ts";
import { connect } from "../postgres/connect.ts";
import { sqlState, stateOf, withoutRows } from "../postgres/errors.ts";
import { isBrokenConnection } from "../postgres/server-fault.ts";
import { startCaptureSql, stopCaptureSql } from "./capture.ts";
import { compareKeys } from "./compare.ts";
import { drainOnce } from "./drain.ts";
import { reached } from "./fault-point.ts";
import { countWaiting, cutoverKeyLimit, follow, type MirrorLanes } from "./follow.ts";
import { releaseRoles } from "./job.ts";
import { describeHolders, sendAutovacuumAway } from "./lock-holders.ts";
import { allDefinitions, type MirrorGoal } from "./plan.ts";
import type { Run } from "./run.ts";
import type { PayloadCodec, Sealing } from "./sealing.ts";

/** Longest wait for the tables, milliseconds: writers queue behind us as long. */
export const cutoverLockTimeoutMs = 100;
/** The transaction is over after this time whatever happens, milliseconds. */
export const cutoverTransactionMs = 400;
/** Tries before a cutover is given up for this run. */
export const cutoverTries = 20;

/** A cutover that may not be, or that found no gap between the users' transactions. */
export class CutoverError extends Error {
  override readonly name = "CutoverError";
}

/** More keys came in than may be brought over under the lock; not shown to anybody. */
class TooManyKeysError extends Error {}

/** Something came in although nothing had waited, and the keys were not fetched; not shown to anybody. */
class KeysNeededError extends TooManyKeysError {}

/** A mirror whose authority moves. */
export interface MovingMirror extends MirrorLanes {
  readonly goal: MirrorGoal;
}

/**
 * Moves authority in one short transaction: the tables of the step are locked against writers (readers go on), the rest
 * is drained and compared, then positions, epochs, whereabouts, privileges and capture change together. No call to Vault
 * is made while the lock is held.
 *
 * @param positions of all the tenant's mirrors as they will be afterwards
 * @returns for how long writers waited, milliseconds
 * @throws {CutoverError} naming the session in the way
 */
export async function cutover(
  run: Run,
  moving: readonly MovingMirror[],
  positions: Readonly<Record<string, Position>>,
): Promise<number> {
  const grants = await planGrants(run.sessions.control, {
    release: run.job.release,
    allReleaseRoles: releaseRoles(run.job),
    positions,
    mirrors: allDefinitions(run.job),
  });
  const tables = moving.flatMap(({ lanes }) => lanes.flatMap((lane) => [lane.from.quoted, lane.to.quoted])).sort();
  const holders = new Set<string>();
  const allLanes = moving.flatMap(({ lanes }) => lanes);
  let opened = 0;
  let needsKeys = false;
  for (let nth = 1; nth <= cutoverTries; nth += 1) {
    run.checkDeadline();
    await sendAutovacuumAway(run.sessions.operator, tables);
    // Nothing to bring over, nothing to open: a tenant that is equal moves without Vault. What comes in meanwhile is
    // seen under the lock and sends us back here.
    const isEqual = (await countWaiting(run.sessions.control, allLanes)) === 0;
    const codecs = isEqual && !needsKeys ? undefined : await warmCodecs(moving);
    // A transaction timeout ends the session too, so this one is not the run's own.
    const client = await connectOnce(run);
    // The server may end it between two statements: the next one then only says that the client cannot be used.
    let ended: unknown;
    client.on("error", (error) => (ended ??= error));
    const progress = { isCommitting: false };
    try {
      return await attempt(run, client, moving, codecs, grants, tables, progress);
    } catch (error) {
      await client.query("ROLLBACK").catch(() => {});
      if (error instanceof TakenOverError || error instanceof CancelledError || error instanceof CutoverError)
        throw error;
      if (error instanceof OpenError && error.reason === "unknown-key" && error.keyId !== undefined && opened < 3) {
        opened += 1;
        for (const { sealing } of moving) await sealing.learn(error.keyId);
        continue;
      }
      needsKeys ||= error instanceof KeysNeededError;
      const state = stateOf(error) ?? stateOf(ended);
      // A session that the server has ended may break before it can say why. Before COMMIT that has moved nothing.
      const isUndone = !progress.isCommitting && isBrokenConnection(error);
      if (!(error instanceof TooManyKeysError) && !isUndone && (state === undefined || !passing.has(state)))
        throw withoutRows(error);
      if (state === sqlState.lockNotAvailable) holders.add(await describeHolders(run.sessions.operator, tables));
    } finally {
      await client.end().catch(() => {});
    }
    await follow(run, moving);
    await sleep(50 + Math.random() * 250);
  }
  throw new CutoverError(
    `tenant ${run.job.tenant}: no gap of ${cutoverTransactionMs} ms in ${cutoverTries} tries; in the way: ${[...holders].join("; ") || "too many changes at once"}. End that transaction, or run the update again at a quieter time`,
  );
}

const passing = new Set<string>([
  sqlState.lockNotAvailable,
  sqlState.deadlockDetected,
  sqlState.transactionTimeout,
  sqlState.foreignKeyViolation,
  sqlState.adminShutdown,
  "XX000", // "tuple concurrently updated": another GRANT at the same moment
]);

async function attempt(
  run: Run,
  client: pg.Client,
  moving: readonly MovingMirror[],
  codecs: ReadonlyMap<Sealing, readonly PayloadCodec[]> | undefined,
  grants: string,
  tables: readonly string[],
  progress: { isCommitting: boolean },
): Promise<number> {
  await reached("cutover.lock.before");
  await client.query(`BEGIN; SET LOCAL lock_timeout = ${cutoverLockTimeoutMs}`);
  // Those that stay are held as well: privileges are granted by their positions, and without a mirror that moves
  // nothing else would stop a run that was taken over from letting its release in.
  const leaving = new Set(moving.map(({ goal }) => goal.definition.name));
  for (const name of run.mirrors)
    await holdEpoch(client, name, run.epochOf(name), leaving.has(name) ? "UPDATE" : "SHARE");
  const stopWatch = await limitTransaction(run, client);
  try {
    const lockedAt = performance.now(); // writers queue from the moment the lock is asked for
    if (tables.length > 0) await client.query(`LOCK TABLE ${tables.join(", ")} IN SHARE ROW EXCLUSIVE MODE`);
    await reached("cutover.lock.after");
    let drained = 0;
    for (const mirror of moving) drained += await finish(client, mirror, codecs?.get(mirror.sealing));
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
  codecs: readonly PayloadCodec[] | undefined,
): Promise<number> {
  const waiting = await countWaiting(client, lanes);
  if (waiting === 0) return 0;
  if (codecs === undefined) throw new KeysNeededError();
  if (waiting > cutoverKeyLimit) throw new TooManyKeysError();
  for (const [nth, lane] of lanes.entries()) {
    const codec = codecs[nth] as PayloadCodec;
    while (!(await drainOnce(client, lane, codec, true)).isLast);
    const listed = await client.query<{ key: KeyText }>(
      "SELECT key FROM rc.unverified WHERE mirror = $1 AND pair = $2",
      [lane.mirror, lane.id],
    );
    const compared = await compareKeys(
      client,
      lane,
      listed.rows.map((row) => row.key),
      codec,
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

async function warmCodecs(moving: readonly MovingMirror[]): Promise<Map<Sealing, PayloadCodec[]>> {
  const codecs = new Map<Sealing, PayloadCodec[]>();
  for (const { lanes, sealing } of moving) {
    const ofLanes: PayloadCodec[] = [];
    for (const lane of lanes) ofLanes.push(await sealing.codec(lane.pair));
    codecs.set(sealing, ofLanes);
  }
  return codecs;
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

async function connectOnce(run: Run): Promise<pg.Client> {
  return connect({ ...run.connection, applicationName: `rc-mirror ${run.job.tenant} cutover` });
}

/** Whether a position has its authority where the release wants it. */
export function stands(position: Position, goal: MirrorGoal["goal"]): boolean {
  return authorityOf(position) === goal;
}
