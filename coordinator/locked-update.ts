import type { StackRun } from "./environment-stack.ts";
import type { StackFile } from "./stack-file.ts";
import { lockOwner, nameOf } from "./stack-lock.ts";

/**
 * An update that found the stack locked has not begun: what was written for it is taken back.
 * @throws naming the owner of the lock and what to do; does nothing when the run did not fail on a lock
 */
export async function takeBackIfLocked(run: StackRun, file: StackFile, alsoBack = async () => {}): Promise<void> {
  const owner = lockOwner(run);
  if (owner === undefined) return;
  await file.restore();
  await alsoBack();
  throw new Error(
    `the stack is locked by ${nameOf(owner)} since ${owner.since}, who moves it now; ${file.path} is as it was; ` +
      "let that update end, or if it is dead: pulumi cancel; then repeat this command",
  );
}
