import { ROUTE_CONFIG_NAME, socketAddress } from "./envoy-routes.ts";

export interface BootstrapArgs {
  readonly gatewayPort: number;
  readonly adminPort: number;
  /** File with the routes; replaced by a rename in its folder. */
  readonly routesFile: string;
  /** File with the clusters; replaced by a rename in its folder. */
  readonly clustersFile: string;
}

const HTTP = "type.googleapis.com/envoy.extensions.filters";

/** What Envoy is started with: one listener, and two files to follow. */
export function renderBootstrap({ gatewayPort, adminPort, routesFile, clustersFile }: BootstrapArgs): object {
  return {
    node: { id: "gateway", cluster: "release-coordinator" },
    admin: { address: socketAddress(adminPort) },
    dynamic_resources: { cds_config: { resource_api_version: "V3", path_config_source: { path: clustersFile } } },
    static_resources: {
      listeners: [
        {
          name: "gateway",
          address: socketAddress(gatewayPort),
          filter_chains: [
            {
              filters: [
                {
                  name: "envoy.filters.network.http_connection_manager",
                  typed_config: {
                    "@type": `${HTTP}.network.http_connection_manager.v3.HttpConnectionManager`,
                    stat_prefix: "gateway",
                    // A path is decided on in the form in which a service will read it.
                    normalize_path: true,
                    merge_slashes: true,
                    path_with_escaped_slashes_action: "REJECT_REQUEST",
                    rds: {
                      route_config_name: ROUTE_CONFIG_NAME,
                      config_source: { resource_api_version: "V3", path_config_source: { path: routesFile } },
                    },
                    http_filters: [
                      {
                        name: "envoy.filters.http.router",
                        typed_config: { "@type": `${HTTP}.http.router.v3.Router` },
                      },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
    },
  };
}
