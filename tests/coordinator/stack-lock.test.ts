import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { StackEvents } from "../../coordinator/stack-events.ts";
import { isDead, lockOwner, longestWaitSeconds, runDespiteLock } from "../../coordinator/stack-lock.ts";
import type { LockBreaker } from "../../coordinator/stack-lock.ts";
import type { StackRun } from "../../coordinator/environment-stack.ts";

function run(failure?: string): StackRun {
  return { events: new StackEvents("update", () => undefined), failure, cause: undefined, seconds: 1 };
}

/** What the file backend says, word for word. */
function locked(host: string, pid: number): StackRun {
  return run(
    "the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the lock file with `pulumi cancel`.\n" +
      `  file:///b/.pulumi/locks/organization/p/dev/2d65.json?no_tmp_dir=true: created by ana@${host} (pid ${pid}) at 2026-11-22T17:43:07Z`,
  );
}

function breaker(calls: string[]): LockBreaker {
  const note = (name: string) => async () => void calls.push(name);
  return {
    requestCancel: note("cancel"),
    withdrawCancel: note("withdraw"),
    breakLock: note("break"),
    progress: () => undefined,
    pauseSeconds: 0.01,
    patienceSeconds: 0.05,
  };
}

describe("a locked stack", () => {
  // A process that has certainly ended, and whose number was ours to know.
  const deadPid = spawnSync(process.execPath, ["-e", ""]).pid;

  it("names its owner", () => {
    assert.deepEqual(lockOwner(locked("vm", 24448)), {
      user: "ana",
      host: "vm",
      pid: 24448,
      since: "2026-11-22T17:43:07Z",
    });
    assert.equal(lockOwner(run("the disk is full")), undefined);
    assert.equal(lockOwner(run("[409] Conflict: Another update is currently in progress."))?.user, "unknown");
  });

  it("has a dead owner only when that is certain", () => {
    const owner = { user: "ana", host: hostname(), since: "" };
    assert.equal(isDead({ ...owner, pid: deadPid }), true);
    assert.equal(isDead({ ...owner, pid: process.pid }), false);
    assert.equal(isDead({ ...owner, pid: deadPid, host: "another-machine" }), false);
    assert.equal(isDead({ ...owner, pid: 0 }), false);
  });

  it("is tried as often as patience has pauses, however long a try takes, and given up within two minutes", async () => {
    let tries = 0;
    const update = async () => {
      tries += 1;
      return locked(hostname(), process.pid);
    };
    await assert.rejects(runDespiteLock(update, breaker([])), /still locked by ana@/);
    // 50 ms of patience in pauses of 10 ms: a slow machine makes fewer tries, none makes more; a timer may be a millisecond early.
    assert.ok(tries >= 2 && tries <= 8, `${tries} tries`);
    assert.ok(longestWaitSeconds <= 120, `a rollback may wait ${longestWaitSeconds} s`);
  });

  it("loses the lock of a dead owner at once, without a request to stop", async () => {
    const calls: string[] = [];
    const runs = [locked(hostname(), deadPid), run()];
    assert.equal((await runDespiteLock(async () => runs.shift() ?? run(), breaker(calls))).failure, undefined);
    assert.deepEqual(calls, ["break"]);
  });

  it("is asked to stop, and the request stands until the end", async () => {
    const calls: string[] = [];
    const runs = [locked(hostname(), process.pid), run()];
    await runDespiteLock(async () => {
      calls.push("try");
      return runs.shift() ?? run();
    }, breaker(calls));
    assert.deepEqual(calls, ["try", "cancel", "try", "withdraw"]);
  });

  it("ends the wait with an error that names a living owner, and leaves its lock alone", async () => {
    const calls: string[] = [];
    await assert.rejects(
      runDespiteLock(async () => locked("another-machine", 7), breaker(calls)),
      /still locked by ana@another-machine \(pid 7\) since 2026-11-22T17:43:07Z.*pulumi cancel/,
    );
    assert.ok(!calls.includes("break"));
    assert.equal(calls.at(-1), "withdraw");
  });

  it("does not hide another fault", async () => {
    const end = await runDespiteLock(async () => run("the disk is full"), breaker([]));
    assert.equal(end.failure, "the disk is full");
  });
});
