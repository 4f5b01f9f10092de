import type { Service } from "./service.ts";

export interface StartOrder {
  /** Groups of service names: a group starts when the one before it is ready. */
  readonly groups: readonly (readonly string[])[];
  /** Services that wait for each other in a circle, or for one that does. Empty in a sound release. */
  readonly stuck: readonly string[];
}

/** Dependencies up first. Names outside the list are taken as ready: the compatibility rule reports them. */
export function startOrder(services: readonly Pick<Service, "name" | "dependsOn">[]): StartOrder {
  const names = new Set(services.map((service) => service.name));
  const ready = new Set<string>();
  const groups: string[][] = [];
  for (;;) {
    const group = services
      .filter((service) => !ready.has(service.name))
      .filter((service) => service.dependsOn.every((other) => ready.has(other) || !names.has(other)))
      .map((service) => service.name);
    if (group.length === 0) break;
    groups.push([...new Set(group)]);
    for (const name of group) ready.add(name);
  }
  return { groups, stuck: [...names].filter((name) => !ready.has(name)) };
}
