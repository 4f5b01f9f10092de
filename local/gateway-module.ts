/** Where a platform's gateway lives and what it needs to know. */
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
