import { createHash } from "node:crypto";
import { sharesOf, type TrafficSplit, wantedReleaseHeader } from "../../migrations/traffic/split.ts";
import { type Fleet, ROUTED_SERVICES, type Resource } from "./fleets.ts";
import type { TenantRoute } from "./tenant-route.ts";

/** Longest time a request may take, retries of the connection included. The services stop a statement after 5 s. */
export const ROUTE_TIMEOUT_SECONDS = 10;

/** Name under which the listener asks for its routes. */
export const ROUTE_CONFIG_NAME = "tenants";

const RESOURCES = Object.keys(ROUTED_SERVICES) as Resource[];
const NO_TENANT = { error: "not-found", message: "no such tenant, or no such resource of it" };

/** Cluster of the service behind a resource in a release's fleet. */
export const clusterName = (release: string, resource: Resource): string => `${release}.${ROUTED_SERVICES[resource]}`;

/** Only when no connection came about: then the request has certainly not been read by anybody. */
const forwarding = {
  timeout: `${ROUTE_TIMEOUT_SECONDS}s`,
  retry_policy: { retry_on: "connect-failure", num_retries: 3 },
};

/** The file that Envoy follows for its clusters: every service of every fleet. */
export function renderClusters(fleets: readonly Fleet[]): object {
  const resources = fleets.flatMap(({ release, ports }) =>
    RESOURCES.map((resource) => ({
      "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
      name: clusterName(release, resource),
      type: "STATIC",
      connect_timeout: "1s",
      load_assignment: {
        cluster_name: clusterName(release, resource),
        endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(ports[resource]) } }] }],
      },
      // Shorter than the services keep an idle connection: a request never meets one that is just being closed.
      typed_extension_protocol_options: {
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
          "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
          common_http_protocol_options: { idle_timeout: "20s" },
          explicit_http_config: { http_protocol_options: {} },
        },
      },
    })),
  );
  return { version_info: versionOf(resources), resources };
}

/**
 * The file that Envoy follows for its routes: what each tenant's requests meet now, and those without a tenant.
 * @param split @default requests without a tenant meet nothing
 */
export function renderRoutes(
  tenants: readonly TenantRoute[],
  releases: readonly string[],
  split?: TrafficSplit,
): object {
  const routes = [
    ...tenants.flatMap((tenant) => routesOf(tenant, releases)),
    ...(split === undefined ? [] : splitRoutes(split, releases)),
    refusal({ prefix: "/" }, 404, NO_TENANT),
  ];
  const resources = [
    {
      "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
      name: ROUTE_CONFIG_NAME,
      virtual_hosts: [{ name: "tenants", domains: ["*"], routes }],
    },
  ];
  return { version_info: versionOf(resources), resources };
}

function routesOf({ tenant, release, status }: TenantRoute, releases: readonly string[]): object[] {
  const path = `/tenants/${tenant}`;
  if (status !== "active" || release === undefined || !releases.includes(release)) {
    const state = status === "active" ? "without a route" : status;
    const message = `tenant ${tenant} is ${state}; try again later`;
    // No X-Release: that header alone says that a request may be repeated without harm.
    return [
      refusal({ path_separated_prefix: path }, 503, { error: "unavailable", message }, [header("retry-after", "5")]),
    ];
  }
  return RESOURCES.map((resource) => ({
    match: { path_separated_prefix: `${path}/${resource}` },
    route: { cluster: clusterName(release, resource), ...forwarding },
  }));
}

/** A path of the split: by header to the release that is asked for, else by weight. A path of a service without a fleet here meets nothing. */
function splitRoutes(split: TrafficSplit, releases: readonly string[]): object[] {
  const shares = sharesOf(split).filter(({ release }) => releases.includes(release));
  // Envoy refuses weights that are all zero, and with them every other route.
  const isSomewhere = shares.some(({ percent }) => percent > 0);
  const routed = new Set<string>(Object.values(ROUTED_SERVICES));
  return split.paths
    .filter(({ service }) => isSomewhere && routed.has(service))
    .flatMap(({ path, service }) => {
      const cluster = (release: string) => `${release}.${service}`;
      return [
        ...shares.map(({ release }) => ({
          match: {
            path_separated_prefix: path,
            headers: [{ name: wantedReleaseHeader, string_match: { exact: release } }],
          },
          route: { cluster: cluster(release), ...forwarding },
        })),
        {
          match: { path_separated_prefix: path },
          route: {
            weighted_clusters: {
              clusters: shares.map(({ release, percent }) => ({ name: cluster(release), weight: percent })),
            },
            ...forwarding,
          },
        },
      ];
    });
}

function refusal(match: object, status: number, body: object, headers: readonly object[] = []): object {
  return {
    match,
    direct_response: { status, body: { inline_string: JSON.stringify(body) } },
    response_headers_to_add: [header("content-type", "application/json"), ...headers],
  };
}

function header(key: string, value: string): object {
  return { header: { key, value }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD" };
}

/** Address on this machine in Envoy's form. */
export function socketAddress(port: number): object {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

function versionOf(resources: unknown): string {
  return createHash("sha256").update(JSON.stringify(resources)).digest("hex").slice(0, 12);
}
