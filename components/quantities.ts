import type { Service } from "../releases/service.ts";

/** Fewest pods of a service: with one, an evicted pod would be an outage. */
export const leastPods = 2;
/** How far a service may grow, as a multiple of its fewest pods. */
export const growth = 3;

/** Kubernetes' way to write cores. */
export const cpuOf = (cores: number): string => `${Math.round(cores * 1000)}m`;
/** Kubernetes' way to write MiB. */
export const memoryOf = (mib: number): string => `${mib}Mi`;

/** Fewest and most pods of a service. */
export function podsOf(service: Service): { readonly least: number; readonly most: number } {
  const least = Math.max(leastPods, service.resources.replicas);
  return { least, most: least * growth };
}

/** What a service asks of the cluster, in Kubernetes' quantities. Memory is a limit too; cores are not: a limit only slows. */
export function resourcesOf({ cpuCores, memoryMib }: Pick<Service["resources"], "cpuCores" | "memoryMib">) {
  const memory = memoryOf(memoryMib);
  return { requests: { cpu: cpuOf(cpuCores), memory }, limits: { memory } };
}
