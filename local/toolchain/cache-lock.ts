import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { once } from "node:events";
import { dirname } from "node:path";

/**
 * Runs `work` while holding an exclusive kernel lock on `file`; other processes wait. The lock is held by a small
 * `flock` child that lives exactly as long as our pipe to it, so that kill -9 of this process releases it too.
 * @param onWait called once when another process holds the lock.
 */
export async function withLock<T>(file: string, work: () => Promise<T>, onWait?: () => void): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  const holder = spawn("flock", ["--exclusive", file, "sh", "-c", "echo held; exec cat >/dev/null"], {
    stdio: ["pipe", "pipe", "inherit"],
    // A group of its own: Ctrl-C must not release the lock before the work under it has stopped.
    detached: true,
  });
  const timer = onWait && setTimeout(onWait, 1000);
  try {
    await Promise.race([
      once(holder.stdout, "data"),
      once(holder, "exit").then(() => {
        throw new Error(
          `cannot lock ${file}: flock ended with code ${holder.exitCode}; check that the folder is writable`,
        );
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
  try {
    return await work();
  } finally {
    holder.stdin.end();
    if (holder.exitCode === null) await once(holder, "exit");
  }
}
