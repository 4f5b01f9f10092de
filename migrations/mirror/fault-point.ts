/** Places at which a drill may kill the process; see `reached`. */
export const faultPoints = [
  "plan",
  "lock",
  "key.kek",
  "key.wrapped",
  "key.stored",
  "key",
  "capture.before",
  "capture.after",
  "chunk.open",
  "chunk.copy.before",
  "chunk.copy.after",
  "chunk.ledger.before",
  "chunk.ledger.after",
  "chunk.commit.before",
  "chunk.commit.after",
  "reference",
  "verify.before",
  "verify.after",
  "drain.before",
  "drain.commit.before",
  "drain.commit.after",
  "position.before",
  "position.after",
  "cutover.lock.before",
  "cutover.lock.after",
  "cutover.flip",
  "cutover.unlock.before",
  "cutover.unlock.after",
  "retire.before",
  "retire.after",
  "state.return",
] as const;

/** One of `faultPoints`. */
export type FaultPoint = (typeof faultPoints)[number];

/** Places in backups, restores and rotations of keys, which are no runs of the engine. */
export const custodyPoints = [
  "backup.written",
  "backup.described",
  "restore.made",
  "restore.loaded",
  "restore.adopted",
  "restore.swapped",
  "rotate.begun",
  "rotate.rotated",
  "rotate.rewrapped",
  "rotate.raised",
] as const;

/** One of `custodyPoints`. */
export type CustodyPoint = (typeof custodyPoints)[number];

let remaining: number | undefined;

/**
 * For drills: kills this process with SIGKILL, as a power cut would, when RC_FAULT_POINT names this place (`name`, or
 * `name:3` for the third time it is reached); with RC_FAULT_SIGNAL=SIGSTOP it only stops, as a paused machine would, and
 * goes on after SIGCONT. Otherwise nothing.
 */
export async function reached(point: FaultPoint | CustodyPoint): Promise<void> {
  const wanted = process.env["RC_FAULT_POINT"];
  if (wanted === undefined) return;
  const [name, times] = wanted.split(":");
  if (name !== point) return;
  remaining = (remaining ?? Number(times ?? 1)) - 1;
  if (remaining > 0) return;
  if (process.env["RC_FAULT_SIGNAL"] === "SIGSTOP") {
    if (remaining === 0) process.kill(process.pid, "SIGSTOP");
    return;
  }
  process.kill(process.pid, "SIGKILL");
  await new Promise(() => {}); // the signal may arrive a moment later: nothing more may happen
}
