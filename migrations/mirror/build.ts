import { note } from "../ledger/journal.ts";
import { isMirrored, type Position, type Side } from "../ledger/position.ts";
import { readTotals } from "../ledger/range.ts";
import { sqlState, stateOf } from "../postgres/errors.ts";
import { passingStates } from "../postgres/transaction.ts";
import { createCapture, dropCaptureSql, findCaptured, startCaptureSql } from "./capture.ts";
import { drain } from "./drain.ts";
import { reached } from "./fault-point.ts";
import { follow } from "./follow.ts";
import { refuseEdited, refuseStrayRows } from "./ledger-guard.ts";
import { load } from "./load.ts";
import { sendAutovacuumAway } from "./lock-holders.ts";
import { releaseRoles } from "./job.ts";
import type { Lane } from "./pair-shape.ts";
import { definitionOf } from "./plan.ts";
import { findObstacles, obstacleText } from "./preflight.ts";
import { addReference, dropReference, guardSealedKeys, validateReference } from "./reference.ts";
import type { Run } from "./run.ts";
import { dropSearchIndex, ensureSearchIndex } from "./search-index.ts";
import type { Carriage } from "./carrier.ts";
import { verify } from "./verify.ts";

/** Tries for DDL that needs a table for itself for a moment: about half a minute in all. */
export const ddlTries = 60;

/**
 * Builds the other side of a mirror from the authoritative one: capture, load, foreign key, verification, and the new
 * position. `off` becomes `mirroring` (seals), `retired` becomes `switched` (opens). Each step is in the ledger, so a
 * run that was killed goes on where it was.
 */
export async function build(
  run: Run,
  mirror: string,
  fromSide: Side,
  lanes: readonly Lane[],
  carriage: Carriage,
  phase: "load" | "verify" | null,
): Promise<void> {
  await refuseObstacles(run, mirror);
  const isResumed = phase !== null && (await isIntact(run, mirror, lanes));
  if (isResumed) {
    await refuseEdited(run, lanes, carriage, phase !== "load");
    for (const lane of lanes) await refuseStrayRows(run, lane);
  } else {
    if (fromSide === "source") await carriage.emptySink?.();
    await begin(run, mirror, lanes);
  }
  if (!isResumed || phase === "load") {
    run.progress.expect("copied", await estimateRows(run, mirror, lanes));
    for (const lane of lanes) await load(run, lane, carriage);
    for (const lane of lanes) await refer(run, lane, carriage);
    await run.write(mirror, async (client) => {
      await client.query("UPDATE rc.mirror SET phase = 'verify', updated_at = now() WHERE mirror = $1", [mirror]);
      await note(client, { mirror, event: "loaded", detail: { ...(await readTotals(client, mirror)) } });
    });
  }
  for (const lane of lanes) {
    await drain(run, lane, carriage);
    await verify(run, lane, carriage);
  }
  await follow(run, [{ lanes, carriage }]);
  await reached("position.before");
  const position: Position = fromSide === "source" ? "mirroring" : "switched";
  await run.write(mirror, async (client) => {
    const totals = await readTotals(client, mirror);
    if (totals.unverifiedRanges > 0)
      throw new Error(`mirror ${mirror}: ${totals.unverifiedRanges} ranges are not compared`);
    await client.query("UPDATE rc.mirror SET position = $2, phase = NULL, updated_at = now() WHERE mirror = $1", [
      mirror,
      position,
    ]);
    await note(client, { mirror, event: position, detail: { ...totals } });
  });
  await reached("position.after");
}

/** What preview refuses is refused here too: a plain update may have skipped it, and tables change. */
async function refuseObstacles(run: Run, mirror: string): Promise<void> {
  const { job, sessions } = run;
  const obstacles = await findObstacles(sessions.control, job.tenant, definitionOf(job, mirror), releaseRoles(job));
  if (obstacles.length > 0) throw new Error(obstacles.map(obstacleText).join("\n"));
}

/** Rows that are still to be copied, as the planner's statistics have them: 0 where a table was never analysed. */
async function estimateRows({ sessions }: Run, mirror: string, lanes: readonly Lane[]): Promise<number> {
  const found = await sessions.control.query<{ rows: number }>(
    "SELECT coalesce(sum(greatest(reltuples, 0)), 0)::float8 AS rows FROM pg_class WHERE oid IN (SELECT to_regclass(quoted) FROM unnest($1::text[]) AS quoted)",
    [lanes.map((lane) => lane.from.quoted)],
  );
  return (found.rows[0]?.rows ?? 0) - (await readTotals(sessions.control, mirror)).rows;
}

/** Whether an interrupted copy can go on: same tables, and capture has run all the time. */
async function isIntact(run: Run, mirror: string, lanes: readonly Lane[]): Promise<boolean> {
  const { control } = run.sessions;
  const found = await control.query<{ same: boolean | null }>(
    `SELECT built_on = ${tableOids("$2")} AS same FROM rc.mirror WHERE mirror = $1`,
    [mirror, lanes.map((lane) => lane.to.quoted)],
  );
  const captured = await findCaptured(
    control,
    lanes.map((lane) => lane.from),
    true,
  );
  return found.rows[0]?.same === true && captured.length === lanes.length;
}

function tableOids(parameter: string): string {
  return `(SELECT array_agg(to_regclass(quoted)::oid ORDER BY nth) FROM unnest(${parameter}::text[]) WITH ORDINALITY AS t(quoted, nth))`;
}

/**
 * One transaction: what an earlier life left on the other side goes, capture starts, the ledger says that a copy has
 * begun. Everything that is read later is younger than this commit, so no change can slip between.
 */
async function begin(run: Run, mirror: string, lanes: readonly Lane[]): Promise<void> {
  await reached("capture.before");
  const tables = lanes.flatMap((lane) => [lane.from.quoted, lane.to.quoted]);
  await run.write(
    mirror,
    async (client, state) => {
      if (isMirrored(state.position))
        throw new Error(`mirror ${mirror} is ${state.position}: its copy may not be begun anew`);
      for (const lane of lanes) {
        await client.query(`${dropCaptureSql(lane.from)}; ${dropCaptureSql(lane.to)}`);
        await dropReference(client, lane, lane.to);
        await client.query(`TRUNCATE ${lane.to.quoted}`);
        await dropSearchIndex(client, lane);
        await createCapture(client, lane);
        await client.query(startCaptureSql(lane, lane.from));
      }
      await client.query("DELETE FROM rc.range WHERE mirror = $1", [mirror]);
      await client.query("DELETE FROM rc.unverified WHERE mirror = $1", [mirror]);
      await client.query(
        `UPDATE rc.mirror SET phase = 'load', since_epoch = epoch, built_on = ${tableOids("$2")}, updated_at = now()
         WHERE mirror = $1`,
        [mirror, lanes.map((lane) => lane.to.quoted)],
      );
      await note(client, { mirror, event: "capture", detail: { tables: lanes.map((lane) => lane.from.name) } });
    },
    { tries: ddlTries, onRetry: () => sendAutovacuumAway(run.sessions.operator, tables) },
  );
  await reached("capture.after");
}

/** Search index, foreign key, key guard and statistics of a loaded side. Idempotent. */
async function refer(run: Run, lane: Lane, carriage: Carriage): Promise<void> {
  await reached("reference");
  const ddl = {
    tries: ddlTries,
    onRetry: () => sendAutovacuumAway(run.sessions.operator, [lane.from.quoted, lane.to.quoted]),
  };
  await run.write(lane.mirror, (client) => ensureSearchIndex(client, lane), ddl);
  await run.write(lane.mirror, (client) => addReference(client, lane, lane.to), ddl);
  if (lane.to.payloadType === "bytea")
    await run.write(lane.mirror, (client) => guardSealedKeys(client, lane, lane.to), ddl);
  // Rows whose parent went before the key was there have their deletion captured: drained, none is left without one.
  for (let nth = 1; ; nth += 1) {
    await drain(run, lane, carriage);
    try {
      await run.write(lane.mirror, (client) => validateReference(client, lane, lane.to), {
        ...ddl,
        retryOn: passingStates,
      });
      break;
    } catch (error) {
      if (stateOf(error) !== sqlState.foreignKeyViolation || nth >= 5) throw error;
    }
  }
  await run.write(lane.mirror, (client) => client.query(`ANALYZE ${lane.to.quoted}`), ddl);
}
