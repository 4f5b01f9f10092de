import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { StackRun } from "./environment-stack.ts";

/** Who holds the lock of a stack, as the backend names it. */
export interface LockOwner {
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  readonly since: string;
}

/** What breaking into a locked stack may do. */
export interface LockBreaker {
  /** Asks the running update to stop; honoured within one chunk (5 s). */
  requestCancel(): Promise<void>;
  /** Takes the request back when nobody is to be stopped any more. */
  withdrawCancel(): Promise<void>;
  /** `pulumi cancel`: only for an owner that is dead. */
  breakLock(): Promise<void>;
  readonly progress: (line: string) => void;
  /** How long a living owner gets to end. @default 60 */
  readonly patienceSeconds?: number;
  /** Pause between two tries. @default 6, longer than the 5 s in which a chunk must notice */
  readonly pauseSeconds?: number;
}

const defaults = { patienceSeconds: 60, pauseSeconds: 6 };

/**
 * Seconds from the first refused try of an update to its last one, tries not counted: then it has begun, or was given up.
 * A rollback is promised to begin within two minutes.
 */
export const longestWaitSeconds = defaults.patienceSeconds + defaults.pauseSeconds;

/** The owner named in a refused update; undefined when the run did not fail on a lock. */
export function lockOwner(run: StackRun): LockOwner | undefined {
  return lockOwnerIn(`${run.failure ?? ""}\n${run.cause instanceof Error ? run.cause.message : ""}`);
}

/** The owner named in what a refused update printed; undefined when it speaks of no lock. */
export function lockOwnerIn(text: string): LockOwner | undefined {
  const match = /created by (\S+)@(\S+) \(pid (\d+)\) at (\S+)/.exec(text);
  if (!match) {
    if (!/currently locked by|Another update is currently in progress/.test(text)) return undefined;
    return { user: "unknown", host: "unknown", pid: 0, since: "unknown" };
  }
  const [, user = "", host = "", pid = "", since = ""] = match;
  return { user, host, pid: Number(pid), since };
}

/** True only when it is certain: the owner ran on this machine and its process is gone. */
export function isDead(owner: LockOwner): boolean {
  if (owner.host !== hostname() || owner.pid <= 0) return false;
  try {
    process.kill(owner.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/**
 * Runs an update; when another one holds the stack: asks that one to stop, waits up to a minute, breaks the lock of a dead owner.
 * @throws when a living owner does not end in time, naming it
 */
export async function runDespiteLock(update: () => Promise<StackRun>, breaker: LockBreaker): Promise<StackRun> {
  const patienceMs = (breaker.patienceSeconds ?? defaults.patienceSeconds) * 1000;
  const start = Date.now();
  let hasAsked = false;
  try {
    for (;;) {
      // The request is for updates that had begun by then, not for our own, and stays until the other one has seen it.
      const run = await update();
      const owner = run.failure === undefined ? undefined : lockOwner(run);
      if (!owner) return run;
      if (isDead(owner)) {
        breaker.progress(`the stack's lock belongs to ${nameOf(owner)}, which is dead: removing the lock`);
        await breaker.breakLock();
        continue;
      }
      if (Date.now() - start >= patienceMs) throw new Error(stillLocked(owner, patienceMs));
      if (!hasAsked)
        breaker.progress(`the stack is locked by ${nameOf(owner)} since ${owner.since}: asking it to stop`);
      hasAsked = true;
      await breaker.requestCancel();
      await sleep((breaker.pauseSeconds ?? defaults.pauseSeconds) * 1000);
    }
  } finally {
    if (hasAsked) await breaker.withdrawCancel();
  }
}

/** `ana@laptop (pid 4711)` */
export function nameOf({ user, host, pid }: LockOwner): string {
  return `${user}@${host} (pid ${pid})`;
}

function stillLocked(owner: LockOwner, patienceMs: number): string {
  return (
    `the stack is still locked by ${nameOf(owner)} since ${owner.since} after ${patienceMs / 1000} s; ` +
    "end that update there (Ctrl-C once), or if it is dead: pulumi cancel; then repeat this command"
  );
}
