import { setTimeout as sleep } from "node:timers/promises";
import type { Inspection } from "./container-state.ts";
import type { DockerEngine } from "./docker-engine.ts";

const pollEveryMs = 250;
const shownLogLines = 20;

/**
 * Resolves once a container is healthy.
 * @throws when it ended, or is not healthy within `timeoutSeconds`: with the last health output and log lines
 * @throws the signal's reason when the update is cancelled
 */
export async function awaitHealthy(
  docker: DockerEngine,
  id: string,
  name: string,
  timeoutSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  const endMs = performance.now() + timeoutSeconds * 1000;
  for (;;) {
    const found = await docker.find<Inspection>(`/containers/${id}/json`);
    if (found === undefined) throw new Error(`container "${name}" was removed by somebody while it started`);
    const { Status: state, ExitCode: exitCode, Health: health } = found.State;
    if (health?.Status === "healthy") return;
    const hasEnded = state === "exited" || state === "dead";
    if (hasEnded || performance.now() >= endMs) {
      const what = hasEnded
        ? `ended with exit code ${exitCode}`
        : `is not healthy after ${timeoutSeconds} s (${health?.Status ?? "no health check"})`;
      throw new Error(`container "${name}" ${what}\n${await lastWords(docker, id, found)}`);
    }
    await sleep(pollEveryMs, undefined, { signal });
  }
}

async function lastWords(docker: DockerEngine, id: string, found: Inspection): Promise<string> {
  const check = found.State.Health?.Log?.at(-1);
  const health =
    check === undefined ? "none yet" : `exit code ${check.ExitCode}: ${check.Output.trim() || "(no output)"}`;
  const logs = (await docker.logs(id, shownLogLines)).trimEnd();
  return `last health check: ${health}\nlast log lines:\n${logs === "" ? "(none)" : logs}`;
}
