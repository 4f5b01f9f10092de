import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { planGrants } from "../grants.ts";
import { CancelledError, PausedError, TakenOverError } from "../ledger/epoch.ts";
import { authorityOf, type Position } from "../ledger/position.ts";
import { OpenError } from "../tink/aead.ts";
import { connect } from "../postgres/connect.ts";
import { sqlState, stateOf, withoutRows } from "../postgres/errors.ts";
import { isBrokenConnection } from "../postgres/server-fault.ts";
import {
  CutoverError,
  cutoverTransactionMs,
  KeysNeededError,
  type MovingMirror,
  TooManyKeysError,
  tryCutover,
  UnreadyRowsError,
} from "./cutover-transaction.ts";
import { countWaiting, cutoverKeyLimit, follow } from "./follow.ts";
import { releaseRoles } from "./job.ts";
import { findHolders, sendAutovacuumAway } from "./lock-holders.ts";
import { allDefinitions, type MirrorGoal } from "./plan.ts";
import type { Run } from "./run.ts";
import type { Carriage, Carrier } from "./carrier.ts";

/** Tries before a cutover is given up for this run: about twenty seconds in all. */
export const cutoverTries = 20;

/**
 * Longest wait for the tables, milliseconds; writers queue behind us as long. Where the users' own transactions last
 * longer than the first tries wait, the later ones still leave a third of the transaction for the flip.
 */
export function lockPatienceMs(nth: number): number {
  return nth <= cutoverTries / 2 ? 100 : 250;
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
  const obstacles = new Map<number | string, string>();
  const allLanes = moving.flatMap(({ lanes }) => lanes);
  let opened = 0;
  let needsKeys = false;
  for (let nth = 1; nth <= cutoverTries; nth += 1) {
    run.checkDeadline();
    await sendAutovacuumAway(run.sessions.operator, tables);
    // Nothing to bring over, nothing to open: a tenant that is equal moves without Vault. What comes in meanwhile is
    // seen under the lock and sends us back here.
    const isEqual = (await countWaiting(run.sessions.control, allLanes)) === 0;
    const carriers = isEqual && !needsKeys ? undefined : await warmCarriers(moving);
    // A transaction timeout ends the session too, so this one is not the run's own.
    const client = await connectOnce(run);
    // The server may end it between two statements: the next one then only says that the client cannot be used.
    let ended: unknown;
    client.on("error", (error) => (ended ??= error));
    const progress = { isCommitting: false };
    try {
      const lockTimeoutMs = lockPatienceMs(nth);
      return await tryCutover(run, client, { moving, carriers, grants, tables, lockTimeoutMs, progress });
    } catch (error) {
      await client.query("ROLLBACK").catch(() => {});
      if (error instanceof TakenOverError || error instanceof CancelledError || error instanceof CutoverError)
        throw error;
      if (error instanceof PausedError) {
        nth -= 1; // nobody was in the way
        await run.waitOutPause();
        continue;
      }
      if (error instanceof OpenError && error.reason === "unknown-key" && error.keyId !== undefined && opened < 3) {
        opened += 1;
        for (const { carriage } of moving) await carriage.learn(error.keyId);
        continue;
      }
      needsKeys ||= error instanceof KeysNeededError;
      const state = stateOf(error) ?? stateOf(ended);
      // A session that the server has ended may break before it can say why. Before COMMIT that has moved nothing.
      const isUndone = !progress.isCommitting && isBrokenConnection(error);
      if (!(error instanceof TooManyKeysError) && !isUndone && (state === undefined || !passing.has(state)))
        throw withoutRows(error);
      const seen = await findObstacles(run, error, state, tables).catch(() => []); // only told if all tries fail
      for (const [key, text] of seen) obstacles.set(key, text);
    } finally {
      await client.end().catch(() => {});
    }
    await follow(run, moving);
    // At other moments of what the users do, also when they do it in a rhythm.
    await sleep(50 + Math.random() * 50 * (nth + 5));
  }
  const seen = [...obstacles.values()];
  const more = seen.length > obstaclesTold ? `; and ${seen.length - obstaclesTold} more` : "";
  throw new CutoverError(
    `tenant ${run.job.tenant}: no gap of ${cutoverTransactionMs} ms in ${cutoverTries} tries; in the way: ${seen.slice(-obstaclesTold).join("; ")}${more}. ` +
      `Nothing was moved: end what lasts so long, or run the update again at a quieter time`,
  );
}

/** Sessions named when a cutover is given up: those that were seen last. */
const obstaclesTold = 5;

/** What a try has failed on, in words; sessions by their process id. */
async function findObstacles(
  run: Run,
  error: unknown,
  state: string | undefined,
  tables: readonly string[],
): Promise<Iterable<readonly [number | string, string]>> {
  if (state === sqlState.lockNotAvailable) return findHolders(run.sessions.operator, tables);
  if (error instanceof UnreadyRowsError) return [["unready", error.message]];
  if (error instanceof TooManyKeysError) return [["keys", `more than ${cutoverKeyLimit} new changes at once`]];
  if (state === sqlState.transactionTimeout)
    return [["slow", `the server itself, which took more than ${cutoverTransactionMs} ms for the flip`]];
  return [["other", withoutRows(error).message]];
}

const passing = new Set<string>([
  sqlState.lockNotAvailable,
  sqlState.deadlockDetected,
  sqlState.transactionTimeout,
  sqlState.foreignKeyViolation,
  sqlState.adminShutdown,
  "XX000", // "tuple concurrently updated": another GRANT at the same moment
]);

async function warmCarriers(moving: readonly MovingMirror[]): Promise<Map<Carriage, Carrier[]>> {
  const carriers = new Map<Carriage, Carrier[]>();
  for (const { lanes, carriage } of moving) {
    const ofLanes: Carrier[] = [];
    for (const lane of lanes) ofLanes.push(await carriage.carrier(lane.pair));
    carriers.set(carriage, ofLanes);
  }
  return carriers;
}

async function connectOnce(run: Run): Promise<pg.Client> {
  return connect({ ...run.connection, applicationName: `rc-mirror ${run.job.tenant} cutover` });
}

/** Whether a position has its authority where the release wants it. */
export function stands(position: Position, goal: MirrorGoal["goal"]): boolean {
  return authorityOf(position) === goal;
}
