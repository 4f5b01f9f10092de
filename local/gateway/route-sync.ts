import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { replaceConfiguration } from "./configuration-file.ts";
import { renderRoutes } from "./envoy-routes.ts";
import { readTenantRoutes } from "./tenant-route.ts";
import { findTrafficSplit } from "./traffic-split.ts";

export interface RouteSyncArgs {
  /** URL of the registry database, which may not exist yet. */
  readonly registryUrl: string;
  /** The file that Envoy follows. */
  readonly routesFile: string;
  /** Releases that have a fleet to route to. */
  readonly releases: readonly string[];
  /** Milliseconds between two looks without a notification. @default 2000 */
  readonly pollMs?: number;
  /** Called with each change and each failure, for the log. */
  readonly onEvent?: (text: string) => void;
}

/**
 * Follows the registry's routes into Envoy's file until `signal` aborts. A notification on `rc_route` is followed at
 * once; a look every `pollMs` catches what no notification says (a suspended tenant, a connection that broke).
 * While the registry is away the last routes stay in force.
 */
export async function followRoutes(args: RouteSyncArgs, signal: AbortSignal): Promise<void> {
  const pollMs = args.pollMs ?? 2_000;
  let lastFailure: string | undefined;
  while (!signal.aborted) {
    try {
      await followOneConnection(args, pollMs, signal);
    } catch (error) {
      const failure = (error as Error).message;
      // Once, not every second: the registry is created by the first update, which may be minutes away.
      if (failure !== lastFailure) args.onEvent?.(`registry unreachable: ${failure}`);
      lastFailure = failure;
    }
    await sleep(Math.min(pollMs, 1_000), undefined, { signal }).catch(() => undefined);
  }
}

async function followOneConnection(args: RouteSyncArgs, pollMs: number, signal: AbortSignal): Promise<void> {
  const client = new pg.Client({
    connectionString: args.registryUrl,
    application_name: "gateway-routes",
    connectionTimeoutMillis: 5_000,
    query_timeout: 10_000,
    keepAlive: true,
  });
  let wake: () => void = () => undefined;
  let failure: Error | undefined;
  const failIfBroken = (): void => {
    if (failure !== undefined) throw failure;
  };
  let isDue = false;
  const notice = (): void => {
    isDue = true;
    wake();
  };
  client.on("notification", notice);
  client.on("error", (error) => {
    failure = error;
    wake();
  });
  signal.addEventListener("abort", notice);
  try {
    await client.connect();
    // Before the first look: a change between look and LISTEN would wait for the next poll.
    await client.query("LISTEN rc_route");
    while (!signal.aborted) {
      isDue = false;
      const tenants = await readTenantRoutes(client);
      const split = await findTrafficSplit(client);
      const isChanged = await replaceConfiguration(args.routesFile, renderRoutes(tenants, args.releases, split));
      if (isChanged) args.onEvent?.(`routes of ${tenants.length} tenants`);
      failIfBroken();
      if (isDue) continue;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, pollMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      failIfBroken();
    }
  } finally {
    signal.removeEventListener("abort", notice);
    await client.end().catch(() => undefined);
  }
}
