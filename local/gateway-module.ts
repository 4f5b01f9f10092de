/** What `local/gateway/gateway.ts` gives to the platform. */
export interface GatewayModule {
  /** Starts the gateway and its follower of routes, or adopts the ones that run. */
  startGateway(args: GatewayArgs): Promise<unknown>;
  /** Stops both. @returns whether one of them ran */
  stopGateway(args: Pick<GatewayArgs, "homeFolder">): Promise<boolean>;
  /** Pid of the gateway, or undefined when it does not run. */
  findGateway(args: Pick<GatewayArgs, "homeFolder">): number | undefined;
}

export interface GatewayArgs {
  /** `.local` folder: gets logs, pid files and the configuration. */
  readonly homeFolder: string;
  readonly gatewayPort: number;
  readonly gatewayAdminPort: number;
  /** First port of the fleets: base + 20 * (release number - 1) + index of the service. */
  readonly fleetBasePort: number;
  /** Operator's URL of the server that holds `rc_registry`, which may not exist yet. */
  readonly postgresUrl: string;
}

/** Loaded when needed: the servers of the tests have no gateway. */
export async function loadGateway(): Promise<GatewayModule> {
  return (await import(new URL("gateway/gateway.ts", import.meta.url).href)) as GatewayModule;
}
