import { join } from "node:path";
import type { GatewayArgs } from "../gateway-module.ts";
import { findProcess, type ProcessMark, startProcess, stopProcess, waitUntilReady } from "../servers/server-process.ts";
import { ensureEnvoy } from "../toolchain/envoy.ts";
import { replaceConfiguration } from "./configuration-file.ts";
import { renderBootstrap } from "./envoy-bootstrap.ts";
import { renderClusters, renderRoutes } from "./envoy-routes.ts";
import { allFleets } from "./fleets.ts";

type Home = Pick<GatewayArgs, "homeFolder">;

const folderOf = ({ homeFolder }: Home): string => join(homeFolder, "gateway");
const bootstrapFile = (home: Home): string => join(folderOf(home), "bootstrap.json");
const routesFile = (home: Home): string => join(folderOf(home), "routes.json");
const clustersFile = (home: Home): string => join(folderOf(home), "clusters.json");
const envoyMark = (home: Home): ProcessMark => ({
  pidFile: join(home.homeFolder, "run", "gateway.pid"),
  inCommandLine: bootstrapFile(home),
});
const followerMark = (home: Home): ProcessMark => ({
  pidFile: join(home.homeFolder, "run", "gateway-routes.pid"),
  inCommandLine: routesFile(home),
});

export interface StartGatewayArgs extends GatewayArgs {
  /** Whether the kernel kills both processes when this one dies (tests). @default false */
  readonly isTiedToParent?: boolean;
  /** Database of the registry. @default rc_registry */
  readonly registryDatabase?: string;
  /** Role that the follower of routes reads as; empty: the URL's own. @default rc_reader */
  readonly registryRole?: string;
}

/** Pid of the gateway, or undefined when it does not run. */
export const findGateway = (home: Home): number | undefined => findProcess(envoyMark(home));

/**
 * Starts Envoy and the process that follows the registry's routes, or adopts the ones that run. Until the registry
 * exists every tenant is unknown: 404.
 * @throws {Error} with the end of Envoy's log when it does not answer within 20 s
 */
export async function startGateway(args: StartGatewayArgs): Promise<void> {
  const fleets = allFleets(args.fleetBasePort);
  const releases = fleets.map((fleet) => fleet.release);
  const envoyLog = join(args.homeFolder, "log", "gateway.log");
  await replaceConfiguration(clustersFile(args), renderClusters(fleets));
  if (findProcess(envoyMark(args)) === undefined) {
    // The routes that were in force when the gateway stopped may be old, and its follower is seconds away: none is honest.
    if (findProcess(followerMark(args)) === undefined) {
      await replaceConfiguration(routesFile(args), renderRoutes([], releases));
    }
    await replaceConfiguration(
      bootstrapFile(args),
      renderBootstrap({
        gatewayPort: args.gatewayPort,
        adminPort: args.gatewayAdminPort,
        routesFile: routesFile(args),
        clustersFile: clustersFile(args),
      }),
    );
    startProcess({
      ...envoyMark(args),
      command: await ensureEnvoy(),
      // Hot restart wants shared memory under a number of its own; two platforms on one machine would share it.
      arguments: [
        "--config-path",
        bootstrapFile(args),
        "--disable-hot-restart",
        "--concurrency",
        "2",
        "--log-level",
        "warning",
      ],
      logFile: envoyLog,
      isTiedToParent: args.isTiedToParent,
    });
  }
  if (findProcess(followerMark(args)) === undefined) {
    startProcess({
      ...followerMark(args),
      command: process.execPath,
      arguments: [
        join(import.meta.dirname, "route-sync-process.ts"),
        ...["--routes", routesFile(args), "--releases", releases.join(",")],
        ...["--role", args.registryRole ?? "rc_reader"],
      ],
      // In the environment, not among the arguments: those every user of the machine can read.
      environment: {
        PATH: process.env["PATH"],
        RC_POSTGRES_URL: args.postgresUrl,
        RC_REGISTRY_DATABASE: `/${args.registryDatabase ?? "rc_registry"}`,
      },
      logFile: join(args.homeFolder, "log", "gateway-routes.log"),
      isTiedToParent: args.isTiedToParent,
    });
  }
  const isReady = async (): Promise<boolean> =>
    (await fetch(`http://127.0.0.1:${args.gatewayAdminPort}/ready`, { signal: AbortSignal.timeout(1_000) })).ok;
  await waitUntilReady({ ...envoyMark(args), name: "envoy", logFile: envoyLog, isReady, timeoutMs: 20_000 });
}

/** Stops the follower, then Envoy. @returns whether one of them ran */
export async function stopGateway(home: Home): Promise<boolean> {
  const stopped = [await stopProcess(followerMark(home)), await stopProcess(envoyMark(home))];
  return stopped.includes(true);
}
