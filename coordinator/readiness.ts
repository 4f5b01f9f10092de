/** Where one service of a fleet listens. */
export interface ServiceAddress {
  readonly release: string;
  readonly pin: string;
  readonly service: string;
  readonly url: string;
}

/** What a service said about itself. */
export interface Readiness {
  readonly service: string;
  readonly pin: string;
  readonly isReady: boolean;
  /** HTTP status and body, cut at 200 characters, or why there was no answer. */
  readonly answer: string;
  readonly milliseconds: number;
}

/** What of a release is needed to find its services. */
export interface FleetPlan {
  readonly release: {
    readonly id: string;
    readonly services: readonly {
      readonly name: string;
      readonly kind: string;
      readonly probes: { readonly ready: string };
    }[];
  };
  readonly target: { readonly pin: string; readonly number: number };
}

/**
 * Addresses of a fleet's containers on a Docker host, the way components/fleet.ts gives them out: release n has
 * `basePort + 20 * (n - 1)` and the 19 ports after it, in the order of its services.
 */
export function serviceAddresses({ release, target }: FleetPlan, basePort: number): ServiceAddress[] {
  return release.services.flatMap(({ name, kind, probes }, index) => {
    if (kind !== "container") return [];
    const port = basePort + 20 * (target.number - 1) + index;
    return [{ release: release.id, pin: target.pin, service: name, url: `http://127.0.0.1:${port}${probes.ready}` }];
  });
}

/** Asks one service once. @param timeoutMs how long it may take. @default 5000 */
export async function askReadiness(address: ServiceAddress, timeoutMs = 5000): Promise<Readiness> {
  const { service, pin, url } = address;
  const start = performance.now();
  const answered = (isReady: boolean, answer: string): Readiness => {
    return { service, pin, isReady, answer: answer.slice(0, 200), milliseconds: Math.round(performance.now() - start) };
  };
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    const body = await response.text();
    const said = pinIn(body);
    if (said !== undefined && said !== pin)
      return answered(false, `says it is ${said}; another program listens on ${url}`);
    return answered(response.ok, `${response.status} ${body}`);
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    return answered(false, `no answer from ${url}: ${cause}`);
  }
}

/** The pin that a service says it is. */
function pinIn(body: string): string | undefined {
  try {
    const { pin } = JSON.parse(body) as { pin?: unknown };
    return typeof pin === "string" ? pin : undefined;
  } catch {
    return undefined;
  }
}
