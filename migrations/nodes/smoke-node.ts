import pRetry from "p-retry";
import type { SmokeInputs } from "../smoke.ts";
import type { MigrationNode } from "./node.ts";

/** Asks a service, on a tenant of the release's own, for its health, its name and one real answer a path. */
export const smokeNode: MigrationNode<SmokeInputs> = {
  id: (inputs) => `smoke:${inputs.pin}:${inputs.service}`,

  async run(inputs) {
    const until = Date.now() + inputs.deadlineSeconds * 1000;
    const paths = ["/healthz", "/readyz", ...inputs.paths];
    // A service may still be warming its pools: each path may fail until the deadline, and must then answer once.
    for (const path of paths)
      await pRetry(() => answer(inputs, path), {
        retries: 1000,
        minTimeout: 200,
        maxTimeout: 1000,
        maxRetryTime: Math.max(1, until - Date.now()),
        shouldRetry: () => Date.now() < until,
      });
    return {
      status: "done",
      summary: `${inputs.service} of ${inputs.pin} answered ${paths.length} of ${paths.length} questions`,
      epoch: `${inputs.pin}/${inputs.container}`,
    };
  },
};

async function answer(inputs: SmokeInputs, path: string): Promise<void> {
  const about = `smoke test of ${inputs.service} (${inputs.pin}): GET ${inputs.url}${path}`;
  let response: Response;
  try {
    response = await fetch(inputs.url + path, { signal: AbortSignal.timeout(5000) });
  } catch (error) {
    throw new Error(
      `${about}: no answer (${reasonOf(error)}); its log: docker logs <its container>, or kubectl logs <its pod>`,
    );
  }
  const body = await response.text();
  if (!response.ok)
    throw new Error(
      `${about}: status ${response.status}, expected 200; its log: docker logs <its container>, or kubectl logs <its pod>`,
    );
  if (path !== "/readyz") return;
  const said = (JSON.parse(body) as { pin?: string }).pin;
  if (said !== inputs.pin)
    throw new Error(
      `${about}: says it is ${String(said)}, expected ${inputs.pin}; another program listens there: stop it, then pulumi up`,
    );
}

function reasonOf(error: unknown): string {
  const cause = (error as { cause?: { code?: string } }).cause;
  return cause?.code ?? (error as Error).name;
}
