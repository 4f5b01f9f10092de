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
  readonly plugins?: readonly KongPlugin[];
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
}

/** Renders the same decisions that the local gateway makes, in Kong's own words. */
export function renderKong(
  tenants: readonly TenantRoute[],
  fleets: readonly Fleet[],
  host = "127.0.0.1",
): KongConfiguration {
  const releases = fleets.map((fleet) => fleet.release);
  const isRouted = ({ release, status }: TenantRoute): boolean =>
    status === "active" && release !== undefined && releases.includes(release);
  const services = fleets.flatMap(({ release, ports }) =>
    (Object.keys(ROUTED_SERVICES) as Resource[]).map((resource): KongService => {
      const timeoutMs = ROUTE_TIMEOUT_SECONDS * 1_000;
      return {
        name: `${release}.${ROUTED_SERVICES[resource]}`,
        protocol: "http",
        host,
        port: ports[resource],
        retries: 3,
        connect_timeout: 1_000,
        read_timeout: timeoutMs,
        write_timeout: timeoutMs,
        tags: [release],
        routes: tenants
          .filter((tenant) => isRouted(tenant) && tenant.release === release)
          .map(({ tenant }) =>
            route(`${tenant}.${resource}`, `~/tenants/${tenant}/${resource}(?=/|$)`, [tenant, release]),
          ),
      };
    }),
  );
  const refused = tenants
    .filter((tenant) => !isRouted(tenant))
    .map(({ tenant, status }) => ({
      ...route(`${tenant}.refused`, `~/tenants/${tenant}(?=/|$)`, [tenant, status]),
      plugins: [termination(503, "unavailable"), retryAfter("5")],
    }));
  const unknown = { ...route("unknown", "/", ["unknown"]), plugins: [termination(404, "not-found")] };
  return { _format_version: "3.0", _transform: false, services, routes: [...refused, unknown] };
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
