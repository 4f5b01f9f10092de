import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { InvalidArgumentError } from "commander";
import type { Terminal } from "./terminal.ts";

/**
 * Shows something again and again until Ctrl-C. On a terminal each view takes the place of the one before; in a pipe they follow
 * each other.
 * @returns the exit code of the last view
 */
export async function watch(
  show: () => Promise<number>,
  pauseSeconds: number,
  terminal: Terminal,
  isTerminal: boolean = process.stdout.isTTY,
): Promise<number> {
  const stop = new AbortController();
  const interrupted = once(process, "SIGINT", { signal: stop.signal }).then(
    () => stop.abort(),
    () => undefined,
  );
  let code = 0;
  try {
    while (!stop.signal.aborted) {
      if (isTerminal) terminal.stdout("\u001b[2J\u001b[H");
      code = await show();
      await sleep(pauseSeconds * 1000, undefined, { signal: stop.signal }).catch(() => undefined);
    }
    return code;
  } finally {
    stop.abort();
    await interrupted;
  }
}

/** @throws {InvalidArgumentError} for what is no number of seconds from 1 to 3600 */
export function seconds(value: string): number {
  const number = Number(value);
  if (Number.isFinite(number) && number >= 1 && number <= 3600) return number;
  throw new InvalidArgumentError(`"${value}" is no number of seconds; allowed: 1 to 3600`);
}
