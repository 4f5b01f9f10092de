import { resolveReference } from "../migrations/reference.ts";
import type { Registry } from "../migrations/registry/registry.ts";
import type { Environment } from "../releases/environment.ts";
import { isSinkAuthoritative } from "../releases/mirror-state.ts";
import { parsePin } from "../releases/pin.ts";
import { rolloutOf } from "../releases/rollout.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";
import { askReadiness, serviceAddresses } from "./readiness.ts";
import type { Readiness } from "./readiness.ts";

/** Evidence about one pin in one environment. */
export interface PinVerification {
  readonly pin: string;
  readonly isVerified: boolean;
  /** What does not hold; empty when verified. */
  readonly faults: readonly string[];
  readonly services: readonly Readiness[];
  /** Tenants of the waves that pin it, and their data as the engine's ledgers told it. */
  readonly tenants: number;
  readonly rows: number;
  readonly dirty: number;
}

/**
 * Does what is pinned work? Asks the readiness of every service of every pinned release, and compares route and position of
 * every tenant with what its wave pins. Reads only.
 */
export async function verifyPins(environment: Environment, facts: EnvironmentFacts): Promise<PinVerification[]> {
  const rollout = rolloutOf(environment);
  const basePort = Number(resolveReference(environment.docker?.basePort ?? "env:RC_FLEET_BASE_PORT"));
  const pinned = rollout.fleets.filter(({ target }) => rollout.waves.some((wave) => wave.target.pin === target.pin));
  return Promise.all(
    pinned.map(async (fleet) => {
      const services = await Promise.all(serviceAddresses(fleet, basePort).map((address) => askReadiness(address)));
      const waves = rollout.waves.filter(({ target }) => target.pin === fleet.target.pin);
      const tenants = waves.flatMap(({ name }) => facts.waves.get(name) ?? []);
      const faults = [
        ...services
          .filter(({ isReady }) => !isReady)
          .map(({ service, answer }) => `${service} is not ready: ${answer}`),
        ...tenants.flatMap((tenant) => tenantFaults(tenant, fleet.target)),
      ];
      const states = tenants.flatMap((tenant) => tenant.states);
      return {
        pin: fleet.target.pin,
        isVerified: faults.length === 0,
        faults,
        services,
        tenants: tenants.length,
        rows: states.reduce((sum, { rows }) => sum + rows, 0),
        dirty: states.reduce((sum, { dirty }) => sum + dirty, 0),
      };
    }),
  );
}

/** Keeps the evidence of every pin that holds: a rollback goes to verified pins only. */
export async function recordVerifications(
  environment: Environment,
  registry: Registry,
  found: readonly PinVerification[],
): Promise<void> {
  for (const { pin, isVerified, services, tenants, rows, dirty } of found) {
    if (!isVerified) continue;
    const evidence = { services, tenants, rows, dirty };
    const { id: release, hash } = parsePin(pin);
    await registry.records.addVerification({ environment: environment.name, release, hash, evidence });
  }
}

/** One line a pin and one a fault. */
export function explainVerification({
  pin,
  isVerified,
  faults,
  services,
  tenants,
  rows,
  dirty,
}: PinVerification): string {
  const ready = services.filter((service) => service.isReady).length;
  const counts = `${ready} of ${services.length} services ready, ${tenants} tenants, ${rows} rows mirrored, ${dirty} waiting`;
  const head = `${pin}: ${isVerified ? "verified" : "NOT verified"} (${counts})`;
  const shown = faults.slice(0, 20).map((fault) => `    - ${fault}`);
  return [head, ...shown, ...(faults.length > 20 ? [`    - and ${faults.length - 20} more`] : [])].join("\n");
}

function tenantFaults(
  tenant: EnvironmentFacts["onboarding"][number],
  target: { readonly pin: string; readonly sinkMirrors: readonly string[] },
): string[] {
  const route = tenant.pin === target.pin ? [] : [`tenant ${tenant.id} is routed to ${tenant.pin ?? "nothing"}`];
  const misplaced = tenant.states
    .filter(({ mirror, position }) => isSinkAuthoritative(position) !== target.sinkMirrors.includes(mirror))
    .map(({ mirror, position }) => `mirror ${mirror} of tenant ${tenant.id} is ${position}`);
  return [...route, ...misplaced];
}
