import { allReleases, numberOf } from "../../releases/catalog.ts";

/** Part of a tenant's path space, and the service that answers it in every release. */
export const ROUTED_SERVICES = {
  prompts: "platform-api",
  conversations: "agent-orchestrator",
  search: "knowledge-rag",
} as const;

export type Resource = keyof typeof ROUTED_SERVICES;

/** Where the fleet of a release answers. */
export interface Fleet {
  readonly release: string;
  /** Port on 127.0.0.1 of the service behind each resource. */
  readonly ports: Readonly<Record<Resource, number>>;
}

/** Ports in the block of one release: base + 20 x (number - 1) + index of the service in the release. */
const PORTS_PER_RELEASE = 20;

/**
 * Every fleet that the catalog can have, running or not: a route to a fleet that does not run answers 503.
 * @param fleetBasePort first port of the fleets' block
 */
export function allFleets(fleetBasePort: number): Fleet[] {
  return allReleases().map((release) => {
    const first = fleetBasePort + PORTS_PER_RELEASE * (numberOf(release.id) - 1);
    const names = release.services.map((service) => service.name);
    const port = (service: string): number => {
      const index = names.indexOf(service);
      if (index === -1) throw new Error(`release ${release.id} has no ${service}; it has ${names.join(", ")}`);
      return first + index;
    };
    return {
      release: release.id,
      ports: {
        prompts: port(ROUTED_SERVICES.prompts),
        conversations: port(ROUTED_SERVICES.conversations),
        search: port(ROUTED_SERVICES.search),
      },
    };
  });
}
