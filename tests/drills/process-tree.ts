import { readdirSync, readFileSync } from "node:fs";

/** One process of this machine. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parentPid: number;
  /** One letter, as the kernel tells it: R, S, T (stopped), Z (dead, not yet collected). */
  readonly state: string;
  readonly commandLine: string;
}

/** Whether a process runs, or stands stopped; one that is dead and not yet collected does not. */
export function isAlive(pid: number): boolean {
  const found = findEntry(pid);
  return found !== undefined && found.state !== "Z";
}

/** A process and all that it has started, and they, as they are now. */
export function processTree(pid: number): ProcessEntry[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => findEntry(Number(name)) ?? []);
  const tree = all.filter((entry) => entry.pid === pid);
  for (const entry of tree) tree.push(...all.filter((other) => other.parentPid === entry.pid));
  return tree.filter(({ state }) => state !== "Z");
}

function findEntry(pid: number): ProcessEntry | undefined {
  try {
    // The name may hold spaces and brackets: the fields begin behind the last one.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state = "", parent = ""] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const commandLine = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return { pid, parentPid: Number(parent), state, commandLine };
  } catch {
    return undefined;
  }
}
