import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { RefusalWorld } from "./refusal-world.ts";

/**
 * Starts `pulumi up`, waits until a tenant's worker has stopped itself at a fault point, and kills the update with all its
 * processes, as a power cut would.
 * @throws when the update ended before it came there
 */
export async function killUpdateAt(faultPoint: string, world: RefusalWorld): Promise<void> {
  const child = spawn("pulumi", ["up", "--yes", "--skip-preview", "--non-interactive"], {
    cwd: world.program,
    env: world.variables({ RC_FAULT_POINT: faultPoint, RC_FAULT_SIGNAL: "SIGSTOP" }),
    stdio: "ignore",
  });
  const ended = once(child, "exit");
  const pid = child.pid ?? 0;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the update ended before it came to ${faultPoint}`);
    const family = await descendants(pid);
    if (family.some(({ state }) => state === "T")) {
      for (const { pid: each } of [{ pid }, ...family]) kill(each);
      break;
    }
    await sleep(100);
  }
  await ended;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended with its parent.
  }
}

interface ProcessState {
  readonly pid: number;
  readonly parent: number;
  /** As in /proc: `T` is stopped. */
  readonly state: string;
}

/** Processes that one process has started, and those that they have started. */
async function descendants(root: number): Promise<ProcessState[]> {
  const all: ProcessState[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    const [, state = "", parent = ""] = /\) (\S) (\d+)/.exec(stat) ?? [];
    all.push({ pid: Number(name), parent: Number(parent), state });
  }
  const found: ProcessState[] = [];
  for (let parents = [root]; parents.length > 0;) {
    const children = all.filter(({ parent }) => parents.includes(parent));
    found.push(...children);
    parents = children.map(({ pid }) => pid);
  }
  return found;
}
