import type pg from "pg";
import { engineApplicationPrefix } from "../postgres/connect.ts";
import { sqlState, stateOf, withoutRows } from "../postgres/errors.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { LedgerError } from "./ledger-error.ts";
import { type MirrorRow, type MirrorState, mirrorColumns, mirrorState } from "./position.ts";

/** Another run has taken the tenant over: this one must not write any more. */
export class TakenOverError extends Error {
  override readonly name = "TakenOverError";
}

/** Somebody has set the cancel flag. */
export class CancelledError extends Error {
  override readonly name = "CancelledError";
}

/** Somebody has set the pause flag. */
export class PausedError extends Error {
  override readonly name = "PausedError";
}

/** How long takeover waits for writers of the old epoch before it terminates them, milliseconds. */
export const takeoverPatienceMs = 30_000;
/** What a session that is none of the engine's gets beyond that before the takeover is given up, milliseconds. */
const strangerPatienceMs = 5_000;

export interface TakeoverOptions {
  /** @default takeoverPatienceMs */
  readonly patienceMs?: number;
  /**
   * Cancel flags set longer ago than this were meant for an update that is over: they are cleared. Milliseconds; undefined
   * clears none. @default 0, every flag
   */
  readonly cancelAgeMs?: number | undefined;
}

/**
 * Starts a new epoch for these mirrors and clears their old cancel flags. Every writing transaction holds a share lock on
 * its mirror's row, so this waits for those in flight; whoever still holds one after `patienceMs` is terminated.
 *
 * @param operator session with the login's own role: only that may terminate the login's other sessions
 * @returns the new epoch of each mirror
 * @throws {LedgerError} somebody who is none of the engine's keeps rc.mirror locked, named
 */
export async function takeOver(
  client: pg.Client,
  operator: pg.Client,
  mirrors: readonly string[],
  holder: string,
  options: TakeoverOptions = {},
): Promise<Map<string, bigint>> {
  const { patienceMs = takeoverPatienceMs } = options;
  const cancelAgeMs = "cancelAgeMs" in options ? options.cancelAgeMs : 0;
  const self = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const pid = self.rows[0]?.pid;
  let strangers: readonly string[] = [];
  const impatience = setInterval(() => {
    // Only sessions of the engine should ever lock rc.mirror; the name is checked all the same before one is ended.
    void operator
      .query<{ blocker: string; ended: boolean | null }>(
        `SELECT format('pid %s (%s, %s)', activity.pid, coalesce(nullif(activity.application_name, ''), activity.usename),
             coalesce(activity.state, 'state not visible')) AS blocker,
           CASE WHEN starts_with(activity.application_name, $2) THEN pg_terminate_backend(blocker) END AS ended
         FROM unnest(pg_blocking_pids($1)) AS blocker JOIN pg_stat_activity AS activity ON activity.pid = blocker`,
        [pid, engineApplicationPrefix],
      )
      .then(({ rows }) => (strangers = rows.flatMap(({ blocker, ended }) => (ended === null ? [blocker] : []))))
      .catch(() => {});
  }, patienceMs);
  try {
    const taken = await inTransaction(
      client,
      () =>
        client.query<{ mirror: string; epoch: string }>(
          `UPDATE rc.mirror SET epoch = epoch + 1, holder = $2, updated_at = now(),
             cancel = cancel AND ($3::float8 IS NULL
               OR coalesce(cancelled_at > clock_timestamp() - make_interval(secs => $3 / 1000), false))
           WHERE mirror = ANY($1) RETURNING mirror, epoch`,
          [mirrors, holder, cancelAgeMs],
        ),
      { tries: 1, lockTimeoutMs: patienceMs + strangerPatienceMs },
    );
    return new Map(taken.rows.map((row) => [row.mirror, BigInt(row.epoch)]));
  } catch (error) {
    // A server that stops says the same as a takeover that ends this session; but then nobody is there any more.
    if (stateOf(error) === sqlState.adminShutdown && (await answers(operator)))
      throw new TakenOverError("terminated by another run's takeover");
    if (stateOf(error) !== sqlState.lockNotAvailable) throw withoutRows(error);
    throw new LedgerError(
      `rc.mirror of database ${client.database} stays locked by ${strangers.join(", ") || "a session that has just ended"}; ` +
        `nothing was changed: end that session, then run the update again`,
    );
  } finally {
    clearInterval(impatience);
  }
}

/**
 * First statement of every writing transaction: holds the mirror's row against a takeover until the transaction ends,
 * and stops a writer whose epoch is gone. A plain read would not do: it lost an update silently when tried.
 *
 * @param lock `UPDATE` in a cutover, `SHARE` elsewhere (never `KEY SHARE`, which an update of the epoch passes by)
 * @throws {TakenOverError}
 */
export async function holdEpoch(
  client: pg.Client,
  mirror: string,
  epoch: bigint,
  lock: "SHARE" | "UPDATE" = "SHARE",
): Promise<MirrorState> {
  const found = await client.query<MirrorRow>(`SELECT ${mirrorColumns} FROM rc.mirror WHERE mirror = $1 FOR ${lock}`, [
    mirror,
  ]);
  return requireEpoch(found.rows[0], mirror, epoch);
}

/** Whether the epoch is still this run's, at this moment: for what lies outside of any transaction. @throws {TakenOverError} */
export async function confirmEpoch(client: pg.Client, mirror: string, epoch: bigint): Promise<void> {
  const found = await client.query<MirrorRow>(`SELECT ${mirrorColumns} FROM rc.mirror WHERE mirror = $1`, [mirror]);
  requireEpoch(found.rows[0], mirror, epoch);
}

function requireEpoch(row: MirrorRow | undefined, mirror: string, epoch: bigint): MirrorState {
  if (row === undefined) throw new TakenOverError(`mirror ${mirror} is not in the ledger any more`);
  const state = mirrorState(row);
  if (state.epoch !== epoch) {
    throw new TakenOverError(
      `mirror ${mirror} is in epoch ${state.epoch}, held by ${state.holder}; this run had ${epoch}`,
    );
  }
  return state;
}

function answers(session: pg.Client): Promise<boolean> {
  return session.query("SELECT").then(
    () => true,
    () => false,
  );
}

/** What somebody has asked of the run. @throws {CancelledError} @throws {PausedError} */
export function heedFlags({ mirror, cancel, pause }: MirrorState): void {
  if (cancel) throw new CancelledError(`mirror ${mirror}: the cancel flag is set`);
  if (pause) throw new PausedError(`mirror ${mirror}: the pause flag is set`);
}
