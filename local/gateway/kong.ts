import { sharesOf, type TrafficSplit, wantedReleaseHeader } from "../../migrations/traffic/split.ts";
import { type Fleet, ROUTED_SERVICES, type Resource } from "./fleets.ts";
import { ROUTE_TIMEOUT_SECONDS } from "./envoy-routes.ts";
import type { TenantRoute } from "./tenant-route.ts";

// Kong itself is in no package registry, so nothing here starts it: locally Envoy stands in, driven by the same routes.
// This declarative configuration (format 3.0) is generated and checked against the documented format in a test.

/** An entry of `plugins`. */
export interface KongPlugin {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
}

export interface KongRoute {
  readonly name: string;
  readonly paths: readonly string[];
  readonly strip_path: false;
  readonly preserve_host: boolean;
  readonly tags: readonly string[];
  /** Values of request headers, any of which lets a request in; a route with headers goes before one without. */
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  readonly plugins?: readonly KongPlugin[];
}

/** Several addresses under the name that a service has as its host, asked by weight. */
export interface KongUpstream {
  readonly name: string;
  readonly targets: readonly {
    /** `host:port` */
    readonly target: string;
    /** 0 to 65535; 0: none of the requests. */
    readonly weight: number;
    readonly tags: readonly string[];
  }[];
  readonly tags: readonly string[];
}

export interface KongService {
  readonly name: string;
  readonly protocol: "http";
  readonly host: string;
  readonly port: number;
  /** Connection attempts after the first; Kong never repeats a request that was sent, unless it is idempotent. */
  readonly retries: number;
  /** Milliseconds. */
  readonly connect_timeout: number;
  readonly read_timeout: number;
  readonly write_timeout: number;
  readonly tags: readonly string[];
  readonly routes: readonly KongRoute[];
}

/** Kong's declarative configuration, as `kong config db_import` and DB-less mode read it. */
export interface KongConfiguration {
  readonly _format_version: "3.0";
  readonly _transform: false;
  readonly services: readonly KongService[];
  /** Routes without a service: refused by a plugin. */
  readonly routes: readonly KongRoute[];
  readonly upstreams: readonly KongUpstream[];
}

export interface KongArgs {
  readonly tenants: readonly TenantRoute[];
  readonly fleets: readonly Fleet[];
  /** How requests without a tenant are shared out. @default they meet nothing */
  readonly split?: TrafficSplit | undefined;
  /** Where the fleets answer. @default 127.0.0.1 */
  readonly host?: string;
}

/** Renders the same decisions that the local gateway makes, in Kong's own words. */
export function renderKong({ tenants, fleets, split, host = "127.0.0.1" }: KongArgs): KongConfiguration {
  const releases = fleets.map((fleet) => fleet.release);
  const isRouted = ({ release, status }: TenantRoute): boolean =>
    status === "active" && release !== undefined && releases.includes(release);
  const shares = split === undefined ? [] : splitPaths(split, fleets);
  const services = fleets.flatMap(({ release, ports }) =>
    (Object.keys(ROUTED_SERVICES) as Resource[]).map((resource) =>
      service(`${release}.${ROUTED_SERVICES[resource]}`, { host, port: ports[resource], tags: [release] }, [
        ...tenants
          .filter((tenant) => isRouted(tenant) && tenant.release === release)
          .map(({ tenant }) =>
            route(`${tenant}.${resource}`, `~/tenants/${tenant}/${resource}(?=/|$)`, [tenant, release]),
          ),
        ...shares
          .filter((each) => each.resource === resource && each.ports.has(release))
          .map(({ path, index }) => ({
            ...route(`split-${index}.${release}`, `~${path}(?=/|$)`, [release]),
            headers: { [wantedReleaseHeader]: [release] },
          })),
      ]),
    ),
  );
  const byWeight = shares.map(({ path, index }) =>
    service(`split-${index}`, { host: `split-${index}`, port: 80, tags: ["split"] }, [
      route(`split-${index}`, `~${path}(?=/|$)`, ["split"]),
    ]),
  );
  const upstreams = shares.map(({ index, ports }) => ({
    name: `split-${index}`,
    targets: [...ports].map(([release, { port, percent }]) => ({
      target: `${host}:${port}`,
      weight: percent,
      tags: [release],
    })),
    tags: ["split"],
  }));
  const refused = tenants
    .filter((tenant) => !isRouted(tenant))
    .map(({ tenant, status }) => ({
      ...route(`${tenant}.refused`, `~/tenants/${tenant}(?=/|$)`, [tenant, status]),
      plugins: [termination(503, "unavailable"), retryAfter("5")],
    }));
  const unknown = { ...route("unknown", "/", ["unknown"]), plugins: [termination(404, "not-found")] };
  return {
    _format_version: "3.0",
    _transform: false,
    services: [...services, ...byWeight],
    routes: [...refused, unknown],
    upstreams,
  };
}

/** The paths that some fleet here answers, each with port and share of every release that can be asked for. */
function splitPaths(split: TrafficSplit, fleets: readonly Fleet[]) {
  const resources = Object.entries(ROUTED_SERVICES) as [Resource, string][];
  return split.paths.flatMap(({ path, service }, index) => {
    const resource = resources.find(([, name]) => name === service)?.[0];
    if (resource === undefined) return [];
    const ports = new Map(
      sharesOf(split).flatMap(({ release, percent }) => {
        const port = fleets.find((fleet) => fleet.release === release)?.ports[resource];
        return port === undefined ? [] : [[release, { port, percent }] as const];
      }),
    );
    return [...ports.values()].some(({ percent }) => percent > 0) ? [{ path, index, resource, ports }] : [];
  });
}

function service(
  name: string,
  at: Pick<KongService, "host" | "port" | "tags">,
  routes: readonly KongRoute[],
): KongService {
  const timeoutMs = ROUTE_TIMEOUT_SECONDS * 1_000;
  const timeouts = { connect_timeout: 1_000, read_timeout: timeoutMs, write_timeout: timeoutMs };
  return { name, protocol: "http", ...at, retries: 3, ...timeouts, routes };
}

function route(name: string, path: string, tags: readonly string[]): KongRoute {
  return { name, paths: [path], strip_path: false, preserve_host: true, tags };
}

function termination(statusCode: number, error: string): KongPlugin {
  const body = JSON.stringify({ error });
  return { name: "request-termination", config: { status_code: statusCode, content_type: "application/json", body } };
}

function retryAfter(seconds: string): KongPlugin {
  return { name: "response-transformer", config: { add: { headers: [`Retry-After:${seconds}`] } } };
}
