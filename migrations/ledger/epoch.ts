import type pg from "pg";
import { engineApplicationPrefix } from "../postgres/connect.ts";
import { sqlState, stateOf, withoutRows } from "../postgres/errors.ts";
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

/**
 * Starts a new epoch for these mirrors and clears their cancel flags. Every writing transaction holds a share lock on
 * its mirror's row, so this waits for those in flight; whoever still holds one after `patienceMs` is terminated.
 *
 * @param operator session with the login's own role: only that may terminate the login's other sessions
 * @returns the new epoch of each mirror
 */
export async function takeOver(
  client: pg.Client,
  operator: pg.Client,
  mirrors: readonly string[],
  holder: string,
  patienceMs = takeoverPatienceMs,
): Promise<Map<string, bigint>> {
  const self = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const pid = self.rows[0]?.pid;
  const impatience = setInterval(() => {
    // Only sessions of the engine ever lock rc.mirror; the name is checked all the same before one is ended.
    void operator
      .query(
        `SELECT pg_terminate_backend(blocker) FROM unnest(pg_blocking_pids($1)) AS blocker
         JOIN pg_stat_activity AS activity ON activity.pid = blocker
         WHERE starts_with(activity.application_name, $2)`,
        [pid, engineApplicationPrefix],
      )
      .catch(() => {});
  }, patienceMs);
  try {
    const taken = await client.query<{ mirror: string; epoch: string }>(
      `UPDATE rc.mirror SET epoch = epoch + 1, holder = $2, cancel = false, updated_at = now()
       WHERE mirror = ANY($1) RETURNING mirror, epoch`,
      [mirrors, holder],
    );
    return new Map(taken.rows.map((row) => [row.mirror, BigInt(row.epoch)]));
  } catch (error) {
    if (stateOf(error) === sqlState.adminShutdown) throw new TakenOverError("terminated by another run's takeover");
    throw withoutRows(error);
  } finally {
    clearInterval(impatience);
  }
}

/**
 * First statement of every writing transaction: holds the mirror's row against a takeover until the transaction ends,
 * and stops a writer whose epoch is gone. A plain read would not do: it lost an update silently when tried.
 *
 * @param lock `UPDATE` in a cutover, `SHARE` elsewhere (never `KEY SHARE`, which an update of the epoch passes by)
 * @throws {TakenOverError} @throws {CancelledError} @throws {PausedError}
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
  const row = found.rows[0];
  if (row === undefined) throw new TakenOverError(`mirror ${mirror} is not in the ledger any more`);
  const state = mirrorState(row);
  if (state.epoch !== epoch) {
    throw new TakenOverError(
      `mirror ${mirror} is in epoch ${state.epoch}, held by ${state.holder}; this run had ${epoch}`,
    );
  }
  if (state.cancel) throw new CancelledError(`mirror ${mirror}: the cancel flag is set`);
  if (state.pause) throw new PausedError(`mirror ${mirror}: the pause flag is set`);
  return state;
}
