import { addRange, type KeyText, readFrontier, readRanges } from "../ledger/range.ts";
import type { Chunk } from "./chunk.ts";
import { drain } from "./drain.ts";
import { reached } from "./fault-point.ts";
import { Pace } from "./pace.ts";
import type { Lane } from "./pair-shape.ts";
import { Probe } from "./probe.ts";
import type { Run } from "./run.ts";
import type { Carriage } from "./carrier.ts";
import { throttle } from "./throttle.ts";

/**
 * Copies what the ledger does not have of a pair, range by range in key order. While one chunk is written the next is
 * read and converted. The ledger row of a chunk commits with its rows, so a restart repeats at most one chunk.
 *
 * @throws {DeadlineError} @throws {TakenOverError} @throws {CancelledError}
 */
export async function load(run: Run, lane: Lane, carriage: Carriage): Promise<void> {
  const { control, operator } = run.sessions;
  const frontier = await readFrontier(control, lane.mirror, lane.id);
  if (frontier === null) return;
  const { length } = await readRanges(control, lane.mirror, lane.id);
  const probe = new Probe(operator).start();
  try {
    await copyRanges(run, lane, carriage, { after: frontier === "nothing" ? null : frontier, ordinal: length, probe });
  } finally {
    await probe.stop();
  }
}

interface Beginning {
  readonly after: KeyText | null;
  /** Of the first range. */
  readonly ordinal: number;
  readonly probe: Probe;
}

async function copyRanges(run: Run, lane: Lane, carriage: Carriage, beginning: Beginning): Promise<void> {
  const { reader, operator } = run.sessions;
  const pace = new Pace();
  const readNext = (lower: KeyText | null): Promise<Chunk> =>
    carriage.withCarrier(lane.pair, (carrier) => carrier.readNext(reader, lane, lower, pace.rows));
  let next = readNext(beginning.after);
  let drainedAt = performance.now();
  for (let { ordinal } = beginning; ; ordinal += 1) {
    const startedAt = performance.now();
    const chunk = await next;
    if (chunk.upper !== null) next = readNext(chunk.upper);
    // Awaited in the next turn; until then a failure must not end the process.
    next.catch(() => {});
    let elapsedMs: number;
    try {
      await commitChunk(run, lane, chunk, ordinal, carriage);
      elapsedMs = performance.now() - startedAt; // waiting below says nothing of the size of a chunk
      if (performance.now() - drainedAt > drainEveryMs) {
        await drain(run, lane, carriage);
        await carriage.tend();
        drainedAt = performance.now();
      }
      await throttle({
        operator,
        tables: [lane.from.quoted],
        probe: beginning.probe,
        checkDeadline: () => run.checkDeadline(),
        onWait: (reason) => run.progress.wait("copied", reason),
      });
    } catch (error) {
      await next.catch(() => {}); // the reader must be at rest before its session is closed
      throw error;
    }
    pace.record(chunk.rows, elapsedMs);
    if (chunk.upper === null) return;
  }
}

/** Keys that change all the time would pile up during a long load. */
const drainEveryMs = 5_000;

async function commitChunk(run: Run, lane: Lane, chunk: Chunk, ordinal: number, carriage: Carriage): Promise<void> {
  const carrier = await carriage.carrier(lane.pair);
  const { macs } = carrier;
  await run.write(lane.mirror, async (client, { sinceEpoch }) => {
    await reached("chunk.copy.before");
    await carrier.write(client, lane, chunk);
    await reached("chunk.copy.after");
    await reached("chunk.ledger.before");
    await addRange(client, macs, {
      mirror: lane.mirror,
      pair: lane.id,
      ordinal,
      lower: chunk.lower,
      upper: chunk.upper,
      rows: chunk.rows,
      bytes: chunk.bytes,
      keysetVersion: chunk.keysetVersion,
      sinceEpoch,
      copiedEpoch: run.epochOf(lane.mirror),
    });
    await reached("chunk.ledger.after");
    await reached("chunk.commit.before");
  });
  run.progress.add("copied", chunk.rows);
  await reached("chunk.commit.after");
}
