import { setFlags } from "../migrations/control.ts";
import type { Environment } from "../releases/environment.ts";
import { regionTargets } from "./region-targets.ts";

/**
 * Asks whatever runs on this environment's tenants to stop: the flag stands in every ledger and is honoured within one chunk.
 * The next run clears it when it begins.
 */
export async function stopRunningUpdate(environment: Environment, progress: (line: string) => void): Promise<void> {
  for (const region of regionTargets(environment)) {
    const results = await setFlags({ region }, { cancel: true });
    for (const { status, reason } of results) if (status === "failed") progress(`cancel flag not set: ${reason}`);
  }
}

/** Takes the request back, so that it does not stop the update of the one who asked. */
export async function withdrawStop(environment: Environment): Promise<void> {
  for (const region of regionTargets(environment)) await setFlags({ region }, { cancel: false });
}
