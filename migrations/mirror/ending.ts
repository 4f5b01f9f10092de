import { note } from "../ledger/journal.ts";
import type { Side } from "../ledger/position.ts";
import { sqlState, stateOf } from "../postgres/errors.ts";
import { ddlTries } from "./build.ts";
import type { Carriage } from "./carrier.ts";
import { dropCaptureObjectsSql, dropCaptureSql, findCaptured } from "./capture.ts";
import { reached } from "./fault-point.ts";
import { sendAutovacuumAway } from "./lock-holders.ts";
import type { PairShape, TableShape } from "./pair-shape.ts";
import { dropReference } from "./reference.ts";
import type { Run } from "./run.ts";

/**
 * `switched` becomes `retired`: capture and ranges go; from here on the source is rebuilt, not drained. The table itself
 * is dropped by Alembic's contract revision afterwards.
 */
export async function retire(run: Run, mirror: string, shapes: readonly PairShape[]): Promise<void> {
  await reached("retire.before");
  await end(run, mirror, shapes, { position: "retired", event: "retired" });
  await reached("retire.after");
}

/** `mirroring` becomes `off`: capture goes, the sink is emptied. Keysets and KEK stay: backups need them. */
export async function remove(
  run: Run,
  mirror: string,
  shapes: readonly PairShape[],
  carriage?: Carriage,
): Promise<void> {
  await reached("retire.before");
  await end(run, mirror, shapes, { position: "off", event: "off", emptied: "sink", carriage });
  await reached("retire.after");
}

/**
 * Gives up a copy that was begun and not ended, since the pin now wants the side that has the authority already: capture
 * goes, and what was copied. Otherwise its captured changes would pile up for as long as nobody prepares again.
 */
export async function abandon(
  run: Run,
  mirror: string,
  authority: Side,
  shapes: readonly PairShape[],
  carriage?: Carriage,
): Promise<void> {
  const [position, emptied] = authority === "source" ? (["off", "sink"] as const) : (["retired", "source"] as const);
  await end(run, mirror, shapes, { position, event: "abandoned", emptied, carriage });
}

interface End {
  readonly position: "off" | "retired";
  readonly event: "off" | "retired" | "abandoned";
  /** The side that loses its rows. @default none */
  readonly emptied?: Side;
  /** Empties what of the sink lies outside the database. */
  readonly carriage?: Carriage | undefined;
}

async function end(
  run: Run,
  mirror: string,
  shapes: readonly PairShape[],
  { position, event, emptied, carriage }: End,
): Promise<void> {
  const tables = shapes.flatMap(tablesOf).map((table) => table.quoted);
  const emptyStore = emptied === "sink" ? carriage?.emptySink?.bind(carriage) : undefined;
  await run.write(
    mirror,
    async (client) => {
      for (const shape of shapes) {
        for (const table of tablesOf(shape)) await client.query(dropCaptureSql(table));
        await client.query(dropCaptureObjectsSql(shape));
        const side = emptied === undefined ? undefined : shape[emptied];
        if (side === undefined) continue;
        await dropReference(client, shape, side);
        await client.query(`TRUNCATE ${side.quoted}`);
      }
      await client.query("DELETE FROM rc.range WHERE mirror = $1", [mirror]);
      await client.query("DELETE FROM rc.unverified WHERE mirror = $1", [mirror]);
      // What lies outside is emptied afterwards; until then the mirror counts as under way, and a run that is killed comes
      // back to it.
      await client.query("UPDATE rc.mirror SET position = $2, phase = $3, updated_at = now() WHERE mirror = $1", [
        mirror,
        position,
        emptyStore === undefined ? null : "load",
      ]);
      await note(client, { mirror, event });
    },
    { tries: ddlTries, onRetry: () => sendAutovacuumAway(run.sessions.operator, tables) },
  );
  if (emptyStore === undefined) return;
  await emptyStore();
  await run.write(mirror, (client) => client.query("UPDATE rc.mirror SET phase = NULL WHERE mirror = $1", [mirror]));
}

/**
 * Drops the triggers that a cutover has only switched off. They do nothing, so when a reader keeps the table for long
 * this is left to the next run.
 */
export async function clearStaleCapture(run: Run, mirror: string, shapes: readonly PairShape[]): Promise<void> {
  const stale = await findCaptured(run.sessions.control, shapes.flatMap(tablesOf), false);
  for (const table of shapes.flatMap(tablesOf).filter((one) => stale.includes(one.quoted))) {
    try {
      await run.write(mirror, (client) => client.query(dropCaptureSql(table)), { tries: 5 });
    } catch (error) {
      if (stateOf(error) !== sqlState.lockNotAvailable) throw error;
    }
  }
}

function tablesOf(shape: PairShape): TableShape[] {
  return [shape.source, shape.sink].filter((table) => table !== undefined);
}
