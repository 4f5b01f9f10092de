import type * as pulumi from "@pulumi/pulumi";
import type { ReleaseTarget } from "../migrations/wave-inputs.ts";
import type { Release } from "../releases/release.ts";
import type { Service } from "../releases/service.ts";
import type { Database } from "./database.ts";
import type { Images } from "./images.ts";
import type { Secrets } from "./secrets.ts";

/** What a fleet needs to know, whatever it runs on. */
export interface FleetArgs {
  readonly environment: string;
  readonly release: Release;
  readonly target: ReleaseTarget;
  readonly images: Images;
  /** The release's own tenant in this region, asked before any real tenant moves. */
  readonly probeTenant: string;
  readonly database: Database;
  /** Present when the environment has Vault. */
  readonly secrets?: Secrets;
}

/**
 * All services of one release in one region: each starts when those it depends on are healthy and have answered on the
 * probe tenant. Old and new fleets stand side by side. Removing a fleet stops its services; they hold no data.
 */
export interface Fleet extends pulumi.ComponentResource {
  /** Resolves when every service has passed its smoke test. */
  readonly ready: pulumi.Output<string>;
}

/** Type of every fleet in the state, whatever it runs on. */
export const fleetType = "release-coordinator:components:Fleet";

const questions: Readonly<Record<string, (tenant: string) => readonly string[]>> = {
  "platform-api": (tenant) => [`/tenants/${tenant}/prompts?limit=1`],
  "knowledge-rag": (tenant) => [`/tenants/${tenant}/search?q=probe`],
  "agent-orchestrator": (tenant) => [`/tenants/${tenant}/conversations?limit=1`],
};

/** Paths that must answer 200 on the probe tenant before anything that depends on the service starts. */
export function questionsFor(service: Service, probeTenant: string): readonly string[] {
  return questions[service.name]?.(probeTenant) ?? [];
}

/** Containers only, dependencies first; the catalog has refused circles. */
export function startOrder(services: readonly Service[]): Service[] {
  const containers = services.filter((service) => service.kind === "container");
  const placed: Service[] = [];
  const place = (service: Service): void => {
    if (placed.includes(service)) return;
    for (const other of containers) if (service.dependsOn.includes(other.name)) place(other);
    placed.push(service);
  };
  containers.forEach(place);
  return placed;
}
