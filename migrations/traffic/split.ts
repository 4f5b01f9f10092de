/** Request header whose value, a release's id, chooses the fleet of a request without a tenant, whatever the shares. */
export const wantedReleaseHeader = "x-want-release";

/**
 * How requests that belong to no tenant are shared out. What a gateway makes of it is its renderer's business: Envoy's routes
 * and Kong's configuration in `local/gateway`, an HTTPRoute in `migrations/traffic/http-route.ts`.
 */
export interface TrafficSplit {
  /** Id of the release that comes, or goes again. */
  readonly newer: string;
  /** Id of the release that gets the rest; absent: there is one release only. */
  readonly older?: string;
  /** Share of `newer`; 0 to 100. */
  readonly percent: number;
  /** Path at the gateway, with all below it, and the service that answers it. */
  readonly paths: readonly { readonly path: string; readonly service: string }[];
}

export interface Share {
  readonly release: string;
  /** 0 to 100; all shares together are 100. */
  readonly percent: number;
}

/** The older release first. One that gets nothing by weight can still be asked for by header. */
export function sharesOf({ newer, older, percent }: TrafficSplit): readonly Share[] {
  if (older === undefined) return [{ release: newer, percent: 100 }];
  return [
    { release: older, percent: 100 - percent },
    { release: newer, percent },
  ];
}
