import type { Environment } from "../releases/environment.ts";
import type { EnvironmentFacts } from "./environment-facts.ts";

/** @throws when there is no registry yet that could keep what a command has to write down */
export function refuseAbsentRegistry({ hasRegistry }: EnvironmentFacts, { name }: Environment): void {
  if (hasRegistry) return;
  throw new Error(
    `environment ${name} has no registry yet, so there is nothing to write to; the first update makes it: pulumi up -s ${name}`,
  );
}
